"""A step of the disk that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class Fault:
    """The n-th call of a step fails, or so many from it; the others are the real ones."""

    def __init__(self, real: Callable[..., Any], code: int, at: int, times: int = 1) -> None:
        self.calls = 0
        self._real, self._code, self._fails = real, code, range(at, at + times)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Do the step, or fail."""
        self.calls += 1
        if self.calls in self._fails:
            raise OSError(self._code, os.strerror(self._code))
        return self._real(*arguments, **named)
