"""The node's status for many watchers: read at most once a second, and pushed when it changed."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from node.config import NodeConfig
from node.inbox.states import StudyState
from node.status import status
from node.status.studies import list_studies, waiting_for_a_person

FRESH_SECONDS = 0.9
TICK_SECONDS = 1.0
#: Rates are over this many seconds.
RATE_SECONDS = 60.0
STUDIES_SHOWN = 50
#: Studies that wait for a person on the first page; the lists by state have them all.
HELD_SHOWN = 5


class Snapshots:
    """Reads the status for all watchers, and remembers enough of it to tell rates."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._status: dict[str, Any] = {}
        self._counts: deque[tuple[float, int, int]] = deque()

    def now(self, state: StudyState | None) -> dict[str, Any]:
        """Give the status, with the newest studies in one state or in any, and the held ones."""
        with self._lock:
            moment = time.monotonic()
            if moment - self._read_at > FRESH_SECONDS:
                self._read(moment)
            found = dict(self._status)
            if state is not None:
                found["studies"] = list_studies(self._config, state, STUDIES_SHOWN)
            return found

    def _read(self, moment: float) -> None:
        found = status(self._config, STUDIES_SHOWN)
        found["held"] = waiting_for_a_person(self._config, HELD_SHOWN)
        found["disk"] = disk_use(self._config)
        found["rates"] = self._rates(moment, found["conservation"])
        self._status, self._read_at = found, moment

    def _rates(self, moment: float, counts: dict[str, int]) -> dict[str, float]:
        """Tell instances received and released per minute, over the last minute."""
        self._counts.append((moment, counts["received"], counts["released"]))
        while moment - self._counts[0][0] > RATE_SECONDS:
            self._counts.popleft()
        began, received, released = self._counts[0]
        minutes = max(moment - began, 1.0) / 60
        return {
            "received": (counts["received"] - received) / minutes,
            "released": (counts["released"] - released) / minutes,
        }


def disk_use(config: NodeConfig) -> dict[str, int]:
    """Give bytes free and in all on the disk of the data_dir, and the reserve to keep free."""
    folder = config.node.data_dir
    use = shutil.disk_usage(folder if folder.is_dir() else "/")
    return {"total": use.total, "free": use.free, "reserve": config.receive.min_free_bytes}


async def events(request: Request, parts: Callable[[], dict[str, str]]) -> AsyncIterator[str]:
    """Stream server-sent events: each part of a page anew whenever its HTML changed."""
    before: dict[str, str] = {}
    while not await request.is_disconnected():
        now = await run_in_threadpool(parts)
        for name, html in now.items():
            if before.get(name) != html:
                yield _event(name, html)
        before = now
        await asyncio.sleep(TICK_SECONDS)


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"
