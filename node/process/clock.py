"""The node's steady time: seconds that no jump of the wall clock reaches, across restarts too.

Steady time starts as the wall clock at the first start ever. Inside a run it follows the monotonic
clock; across a restart it follows the kernel's uptime; only across a reboot has the wall clock to
tell how long the machine was off. Quiet times and retention are measured in it, never in dates.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import Connection

from node.inbox.index import get_meta, set_meta

_KEY = "clock"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment on four clocks at once."""

    boot: str
    uptime: float
    wall: float
    steady: float


@dataclass(frozen=True, slots=True)
class SteadyClock:
    """The steady time of this run: the anchor's, plus what the monotonic clock passed since."""

    steady_at_start: float
    monotonic_at_start: float
    monotonic: Callable[[], float] = time.monotonic

    def now(self) -> float:
        """Give the steady time in seconds."""
        return self.steady_at_start + (self.monotonic() - self.monotonic_at_start)


_SHAPE = TypeAdapter(Anchor)


def start_clock(last: Anchor | None, now: Anchor) -> SteadyClock:
    """Continue from the last recorded moment; `now.steady` is not read."""
    if last is None:
        steady = now.wall
    elif last.boot == now.boot:
        steady = last.steady + max(0.0, now.uptime - last.uptime)
    else:
        steady = last.steady + max(0.0, now.wall - last.wall)
    return SteadyClock(steady, time.monotonic())


def read_anchor(steady: float = 0.0) -> Anchor:
    """Read the kernel's clocks at this moment."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return Anchor(boot, uptime, time.time(), steady)


def load_anchor(conn: Connection) -> Anchor | None:
    """Give the last recorded moment of this index, None if there is none."""
    value = get_meta(conn, _KEY)
    return None if value is None else _SHAPE.validate_json(value)


def save_anchor(conn: Connection, clock: SteadyClock) -> None:
    """Record this moment, so that the next run continues from it."""
    set_meta(conn, _KEY, _SHAPE.dump_json(read_anchor(clock.now())).decode())
