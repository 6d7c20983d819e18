"""The demo from start to end: send, watch, check, tell."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.console import Console

from node.config import NodeConfig, load_config
from node.demo.outcome import check, tell
from node.demo.patients import Study, make_studies
from node.demo.peers import ModalityFailed, answers_echo, research_pacs, send_study
from node.demo.place import PASSWORD, PERSON, NodeFailed, Place, make_place, running_node
from node.demo.watching import Watching, watching
from node.status import status

START_SECONDS = 60
SETTLE_SECONDS = 240
TICK_SECONDS = 0.2


def run_demo(console: Console, *, keep: bool) -> int:
    """Run the demo; 0 only if all that should have arrived has, and nothing else."""
    _stop_on_signals()
    place = make_place()
    config = load_config(place.config)
    studies = make_studies()
    console.print(f"A node in {place.folder}, its status page at {place.page}", soft_wrap=True)
    with research_pacs(place.pacs, place.pacs_port), running_node(place) as node:
        try:
            _wait_for_start(place, node)
            _send_and_watch(console, place, config, studies, node)
        except (NodeFailed, ModalityFailed) as error:
            console.print(f"[red]The demo failed:[/] {error}. The node's log is {place.log}")
            return 1
        missing = check(place, studies, status(config))
        tell(console, place, config, studies, missing)
        if keep:
            _stay(console, place)
    return 1 if missing else 0


def _stop_on_signals() -> None:
    """Make SIGTERM and SIGINT end the demo, and its node, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def _wait_for_start(place: Place, node: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers_echo(place.receive_port):
        if node.poll() is not None or time.monotonic() > deadline:
            raise NodeFailed("the node did not start")
        time.sleep(TICK_SECONDS)


def _send_and_watch(
    console: Console,
    place: Place,
    config: NodeConfig,
    studies: Sequence[Study],
    node: subprocess.Popen[bytes],
) -> None:
    sent = [0] * len(studies)
    failures: list[ModalityFailed] = []

    def send_all() -> None:
        for number, study in enumerate(studies):
            try:
                send_study(study, place.receive_port, partial(_count, sent, number))
            except ModalityFailed as failure:
                failures.append(failure)

    modality = threading.Thread(target=send_all, name="modality simulator", daemon=True)
    modality.start()
    deadline = time.monotonic() + SETTLE_SECONDS
    with watching(console, studies) as watch:
        while not _follow(watch, status(config), sent, studies):
            if failures:
                raise failures[0]
            if node.poll() is not None:
                raise NodeFailed("the node ended")
            if time.monotonic() > deadline:
                return  # what has not arrived by now is told as missing
            time.sleep(TICK_SECONDS)


def _count(sent: list[int], number: int) -> None:
    sent[number] += 1


def _follow(
    watch: Watching, now: dict[str, Any], sent: list[int], studies: Sequence[Study]
) -> bool:
    """Show where things are; tell whether nothing moves any more."""
    watch.show(now, sent)
    counts = now["conservation"]
    gone = sum(d["delivered"] for d in now["destinations"])
    everything = sum(len(study.instances) for study in studies)
    return bool(
        counts["received"] == everything and counts["pending"] == 0 and gone == counts["released"]
    )


def _stay(console: Console, place: Place) -> None:
    console.print(
        f"\nThe node goes on: send to DEIDNODE at 127.0.0.1:{place.receive_port},"
        f" look at {place.page} (sign in as {PERSON} with {PASSWORD}); Ctrl-C ends it."
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Stopping")
