# `make demo` and `make test` work on a fresh Debian 12 with python3 (venv), make and git.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: demo test lint crash soak bench bench-deid bench-receive bench-forward lock clean

.venv/.runtime: requirements/runtime.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: .venv/.runtime
	$(BIN)/deid-node demo $(ARGS)

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# What takes long (most of an hour): a thousand kills, faults by strace, a full disk, fuzzing without
# the bounds that `make test` sets.
crash: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "long" --timeout 3600 $(ARGS)

# Sixty-four associations for ten minutes; ARGS="--minutes 1" for less.
soak: .venv/.dev
	$(BIN)/python -m bench.soak $(ARGS)

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every stage and the whole in one run, half an hour long: bench/RESULTS.md.
bench: .venv/.dev
	$(BIN)/python -m bench $(ARGS)

# Each stage beside its peers (dcmtk, orthanc from Debian), interleaved in one run.
bench-deid: .venv/.dev
	$(BIN)/python -m bench.bench_deid $(ARGS)

bench-receive: .venv/.dev
	$(BIN)/python -m bench.receive $(ARGS)

bench-forward: .venv/.dev
	$(BIN)/python -m bench.forward --large $(ARGS)

lock: .venv/.dev
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.11 requirements/runtime.in -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --python-version 3.11 requirements/dev.in -o requirements/dev.txt

clean:
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
