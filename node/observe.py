"""What the node says while it works: structlog events, process names, systemd's notifications.

One event per fact, past tense, from one list (docs/operations.md names each). Keys are our own ids,
counts, bytes, seconds, SOP classes, modalities: never a name, an ID, a date or an original UID.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import structlog

_PR_SET_NAME = 15
_libc = ctypes.CDLL(None)

#: Every event that the node may log. An event outside this list is a mistake that tests catch.
EVENTS = frozenset(
    {
        # life
        "role_started", "role_stopping", "role_stopped", "role_died", "role_failed",
        "configuration_warning", "key_created",
        # receive
        "listener_opened", "association_accepted", "association_rejected", "association_ended",
        "association_aborted", "instance_received", "instance_refused", "spool_cleaned",
        "disk_low", "disk_recovered", "storage_failed",
        # process
        "instances_adopted", "study_opened", "study_reopened", "study_completed", "job_started",
        "job_finished", "job_yielded", "study_progress", "worker_died", "instance_quarantined",
        "instance_excluded", "instance_duplicate", "study_held", "study_released",
        "study_rejected", "study_requeued", "decision_applied", "decision_refused",
        "originals_purged", "release_purged", "conservation_broken", "recovered",
        "study_held_long",
        # forward
        "release_seen", "release_refused", "delivery_started", "delivery_progress",
        "delivery_deferred", "delivery_refused", "study_delivered", "study_committed",
        "delivery_abandoned", "delivery_withdrawn", "destination_paused", "destination_resumed",
        "ledger_behind",
        # web
        "sign_in_refused",
    }
)  # fmt: skip


class UnknownEvent(Exception):  # noqa: N818 -- a fact about the call
    """An event that is not in EVENTS was logged."""


def _only_known_events(
    _logger: Any, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    if event["event"] not in EVENTS:
        raise UnknownEvent(event["event"])
    return event


def exception_facts(error: BaseException) -> dict[str, Any]:
    """Give the type of an exception and where it was raised, never its text or values.

    The text of an exception from a DICOM library may quote the very value that it stumbled on.
    """
    frames: list[str] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return {"exception": type(error).__qualname__, "stack": frames}


def _at_least(threshold: int) -> structlog.types.Processor:
    def drop_below(
        _logger: Any, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        if logging.getLevelNamesMapping()[event["level"].upper()] < threshold:
            raise structlog.DropEvent
        return event

    return drop_below


def _stack_in_lines(
    _logger: Any, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Give structlog's console, which prints a stack as text, what it can print."""
    if isinstance(event.get("stack"), list):
        event["stack"] = "\n".join(event["stack"])
    return event


class _Stderr:
    """Takes lines for stderr; one that it refuses (a full disk, a pipe without a reader) is lost.

    Where the log goes is no part of the work: an instance is not refused for want of a line.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def set_up_logging(
    fmt: Literal["json", "console"],
    level: str,
    role: str,
    audit: structlog.types.Processor | None = None,
) -> None:
    """Send structlog's events of this process to stderr, and silence what others would log.

    pydicom and pynetdicom quote values in their messages, so nothing of theirs is let through.
    `audit` sees every event of level info and above, whatever `level` lets through to stderr.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer()]
        if fmt == "json"
        else [_stack_in_lines, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _only_known_events,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([audit, _at_least(threshold)] if audit else []),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            min(threshold, logging.INFO) if audit else threshold
        ),
        logger_factory=structlog.WriteLoggerFactory(_Stderr()),  # type: ignore[arg-type]  # it asks no more of a file
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(role=role)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def name_process(name: str) -> None:
    """Show `deid-<name>` in ps and top (15 characters are seen). Called by the main thread.

    By prctl, because /proc/self is root's in a process that leaves no core.
    """
    _libc.prctl(_PR_SET_NAME, f"deid-{name}"[:15].encode(), 0, 0, 0)


def notify_systemd(state: str) -> None:
    """Tell systemd READY=1, STATUS=…, WATCHDOG=1 or STOPPING=1; silent where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        notifier.sendto(state.encode(), address)
