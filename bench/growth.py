"""Measure whether a node that holds a million instances costs what a new one costs.

Fills an index with rows, then measures at each size: an idle tick's steps, `status`'s questions,
the adoption of 500 files and the start of a job. Run:

    python -m bench.growth [--sizes 1000,1000000]

Prints a table of milliseconds of CPU, the median of several runs, so that other load does not
show; and the wall clock of an adoption, its fsyncs included. Flat is the promise.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import insert

from node.config import NodeConfig
from node.inbox import views
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.tables import event, generation, instance, study
from node.observe import set_up_logging
from node.process.adoption import adopt
from node.process.ahead import Ahead
from node.process.audit import Audit, check_next_study, check_totals
from node.process.beginning import begin_generations
from node.process.closing import close_generations
from node.process.completing import complete_studies
from node.process.opening import open_workplace
from node.process.progress import under_way
from node.process.workplace import Workplace
from tests.factories import make_instance

PER_STUDY = 200
ADOPTED = 500


def fill(place: Workplace, size: int) -> None:
    """Insert released studies of 200 instances each, until there are `size` instances."""
    for number in range(0, size, PER_STUDY):
        name = f"f{number:07d}"
        with place.index.begin() as conn:
            conn.execute(
                insert(study).values(
                    id=name, state="RELEASED", uid_digest=name, study_instance_uid=name,
                    opened_at=number, generation=1, state_since=place.clock.now(),
                )
            )  # fmt: skip
            conn.execute(
                insert(generation).values(
                    study=name, number=1, begun_at=0, released_at=1,
                    released_steady=place.clock.now(),
                )
            )  # fmt: skip
            conn.execute(insert(event).values(study=name, at=0, name="study_opened", detail="{}"))
            conn.execute(
                insert(instance),
                [
                    {
                        "id": f"{name}-{index:06d}", "study": name, "series": index % 4,
                        "state": "DEIDENTIFIED", "released": True, "purged": True, "generation": 1,
                        "arrived_at": 0, "bytes": 526336, "sop_digest": f"{name}{index}",
                        "series_digest": f"{name}{index % 4}", "patient_digest": name,
                        "patient_id": name, "sop_instance_uid": f"{name}.{index}",
                        "facts": json.dumps({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"} | {
                            "padding": "x" * 500
                        }),
                    }
                    for index in range(min(PER_STUDY, size - number))
                ],
            )  # fmt: skip


def arrive(inbox: Inbox, association: str) -> None:
    """Put 500 small instances of two studies into arrived/."""
    dataset = make_instance(rows=8)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    old = str(dataset.SOPInstanceUID).encode()
    for number in range(ADOPTED):
        fresh = content.replace(old, f"{old.decode()[:-4]}{number:04d}".encode())
        path = inbox.arrived / f"{association}-{number:06d}.dcm"
        path.write_bytes(fresh)
    os.sync()  # as receive leaves them: durable


def milliseconds(step: Callable[[], object], times: int = 9) -> float:
    """Measure the median of a step."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        step()
        taken.append((time.process_time() - start) * 1000)
    return statistics.median(taken)


def measure(size: int) -> dict[str, float]:
    """Fill an index and measure."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        config = NodeConfig(node={"data_dir": folder})
        inbox = Inbox(config.inbox_dir)
        inbox.create()
        place, chain = open_workplace(config, inbox, closing)
        fill(place, size)
        audit = Audit()

        def idle_steps() -> None:
            adopt(place, 0.0)
            complete_studies(place)
            begin_generations(place, Ahead())
            close_generations(place, chain)
            check_totals(place, audit)
            under_way(place)

        reader = open_index(inbox.database, readonly=True)

        def status() -> None:
            with reader.connect() as conn:
                views.workers(conn)
                views.conservation(conn, 0)
                views.study_counts(conn)
                views.progress(conn)
                views.studies(conn, limit=50)

        answer = {
            "tick": milliseconds(idle_steps),
            "status": milliseconds(status),
            "audit": milliseconds(lambda: check_next_study(place, audit)),
        }
        cpu, wall = [], []
        for number in range(3):
            arrive(inbox, f"{number:010d}")
            start, watch = time.process_time(), time.perf_counter()
            adopt(place, 0.0)
            cpu.append((time.process_time() - start) * 1000)
            wall.append((time.perf_counter() - watch) * 1000)
        answer["adopt 500"] = statistics.median(cpu)
        answer["its wall"] = statistics.median(wall)
        answer["MB of index"] = Path(inbox.database).stat().st_size / 1e6
        reader.dispose()
        return answer


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    set_up_logging("json", "error", "bench")
    results = {size: measure(size) for size in sizes}
    print(f"{'instances':>12}" + "".join(f"{name:>14}" for name in results[sizes[0]]))
    for size, answer in results.items():
        print(f"{size:>12,}" + "".join(f"{value:>14.2f}" for value in answer.values()))


if __name__ == "__main__":
    main()
