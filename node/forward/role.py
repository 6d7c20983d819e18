"""`forward`: sends releases to their destinations, once in effect, whatever happens.

lock → open the ledger → recover → loop (decisions, new releases, answers, what is due) → drain
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

import structlog

from node import disk, observe
from node.config import NodeConfig
from node.database import DatabaseTooNew
from node.forward.forwarder import Forwarder
from node.outbox.layout import Outbox
from node.outbox.ledger import open_ledger
from node.outbox.signing import SigningKeyError

STOPPED, FAILED, MISCONFIGURED = 0, 1, 2
log = structlog.get_logger()


def run(config: NodeConfig) -> int:
    """Send until SIGTERM or SIGINT; 0 after a clean stop, 1 or 2 with one line on stderr."""
    stop = _stop_on_signals()
    outbox = Outbox(config.outbox_dir)
    outbox.create()
    lock = outbox.locks / "forward.lock"
    ledger_was_lost = lock.exists() and not outbox.database.exists()
    try:
        held = disk.lock_file(lock)
    except disk.AlreadyLocked:
        return _fail("another forward works in this data_dir already")
    try:
        engine = open_ledger(outbox.database)
    except DatabaseTooNew as error:
        return _fail(str(error))
    try:
        with Forwarder.open(config, outbox, engine) as forwarder:
            forwarder.recover(time.time(), ledger_was_lost=ledger_was_lost)
            log.info("role_started", destinations=len(forwarder.destinations))
            observe.notify_systemd("READY=1")
            while not stop.is_set():
                forwarder.tick(time.time(), time.monotonic())
                observe.notify_systemd("WATCHDOG=1")
            log.info("role_stopping")
            observe.notify_systemd("STOPPING=1")
            forwarder.drain()
    except SigningKeyError as error:
        return _fail(str(error), MISCONFIGURED)
    finally:
        engine.dispose()
        os.close(held)
    log.info("role_stopped")
    return STOPPED


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def set_flag(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, set_flag)
    signal.signal(signal.SIGINT, set_flag)
    return stop


def _fail(line: str, code: int = FAILED) -> int:
    print(f"deid-node forward: {line}", file=sys.stderr)  # noqa: T201 -- the one line on stderr
    return code
