"""`run` and the four roles: the verbs that stay."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from pathlib import Path

import click
import structlog

from node import observe
from node.audit import Trail
from node.cli.options import FAILED, config_option, leave, read_config_and_files
from node.cli.preflight import ALL_ROLES
from node.config import NodeConfig, find_config
from node.supervisor import supervise

#: numpy, and what decodes compressed pixels.
CODECS = ("numpy", "gdcm", "PIL", "pylibjpeg", "openjpeg", "libjpeg", "rle", "jpeg_ls", "pyjpegls")
log = structlog.get_logger()


@click.command()
@config_option
def run(config_path: Path | None) -> None:
    """Run all roles, supervised; SIGTERM drains them in order."""
    config = read_config_and_files(config_path, ALL_ROLES)
    observe.set_up_logging(config.log.format, config.log.level, "run")
    observe.name_process("node")
    try:
        code = supervise(config, find_config(config_path))
    except OSError as error:
        leave(f"cannot work in {config.node.data_dir}: {_os_text(error)}")
    sys.exit(code)


@click.command()
@config_option
def receive(config_path: Path | None) -> None:
    """Take instances from modalities (C-STORE) into the inbox."""
    _run_role("receive", config_path)


@click.command()
@config_option
def process(config_path: Path | None) -> None:
    """De-identify, validate and release complete studies."""
    _run_role("process", config_path)


@click.command()
@config_option
def forward(config_path: Path | None) -> None:
    """Send released studies to their destinations."""
    _run_role("forward", config_path)


@click.command()
@config_option
def web(config_path: Path | None) -> None:
    """Serve the status page."""
    _run_role("web", config_path)


def _run_role(name: str, config_path: Path | None) -> None:
    config = read_config_and_files(config_path, (name,))
    zone = config.outbox_dir if name == "forward" else config.inbox_dir
    trail = Trail(zone / "audit" / f"{name}.jsonl")
    observe.set_up_logging(config.log.format, config.log.level, name, audit=trail)
    observe.name_process(name)
    _forget_script()
    if name == "receive":
        _leave_codecs_out()
    sys.exit(_guarded(name, config))


def _forget_script() -> None:
    """Keep each job's process from running `deid-node` again, which would load all its verbs.

    multiprocessing does so for a main module that is a file and no module of a package.
    """
    sys.modules["__main__"].__file__ = None


def _leave_codecs_out() -> None:
    """Keep what pydicom loads to decode pixels out of a process that strangers talk to.

    Receive decodes none; so less is there to be attacked, and it starts in a third of the time.
    """
    sys.modules.update(dict.fromkeys(CODECS))  # type: ignore[arg-type]  # None says that it is not there


def _guarded(name: str, config: NodeConfig) -> int:
    """Run a role; what it did not foresee ends in one line and its facts, without any value."""
    try:
        role = import_module(f"node.{name}.role")
        _freeze()
        code: int = role.run(config)
    except OSError as error:
        return _failed(name, error, _os_text(error))
    except Exception as error:  # noqa: BLE001 -- the text of an unforeseen error may hold PHI
        return _failed(name, error, f"failed ({type(error).__qualname__}); see the log")
    return code


def _freeze() -> None:
    """Spare the garbage collector what was imported: none of it is garbage, and it is a lot.

    Each full round over it takes 50 ms, in the middle of whatever the role is at.
    """
    gc.collect()
    gc.freeze()


def _failed(name: str, error: Exception, text: str) -> int:
    log.error("role_failed", **observe.exception_facts(error))
    click.echo(f"deid-node {name}: {text}", err=True)
    return FAILED


def _os_text(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or type(error).__qualname__}"
