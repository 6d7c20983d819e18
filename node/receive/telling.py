"""Log lines about strangers, at a bounded rate: a peer that means harm shall not fill the disk."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog

log = structlog.get_logger()

_LINES_A_SECOND = 20
_BURST = 200


class Telling:
    """Tells at most a burst at once and so many lines a second after it; counts what it kept back.

    The next line that is told says how many were `untold` before it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = float(_BURST)
        self._asked = time.monotonic()
        self._untold = 0

    def warn(self, event: str, **facts: Any) -> None:
        """Log a warning, or count it."""
        with self._lock:
            now = time.monotonic()
            self._left = min(_BURST, self._left + (now - self._asked) * _LINES_A_SECOND)
            self._asked = now
            if self._left < 1:
                self._untold += 1
                return
            self._left -= 1
            untold, self._untold = self._untold, 0
        if untold:
            facts["untold"] = untold
        log.warning(event, **facts)
