"""Where a test may end the node: at every durable step, before it and after it.

Armed only by an environment variable, which nothing but tests sets; else each point costs one
comparison. `DEID_NODE_FAILPOINT="before rename to releases@2"` kills the process that reaches that
point for the second time; `DEID_NODE_FAILPOINT_ONCE` names a file that is made then, and while it
is there nobody dies again. `DEID_NODE_FAILPOINT_TREE=1` takes the whole process group along, and
`DEID_NODE_FAILPOINT_TRACE` names a file that gets a line for each point reached.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

_PLAN, _, _COUNT = os.environ.get("DEID_NODE_FAILPOINT", "").partition("@")
_ONCE = os.environ.get("DEID_NODE_FAILPOINT_ONCE", "")
_TREE = bool(os.environ.get("DEID_NODE_FAILPOINT_TREE"))
_TRACE = os.environ.get("DEID_NODE_FAILPOINT_TRACE", "")
_ARMED = bool(_PLAN or _TRACE)
_reached: Counter[str] = Counter()


def reach(step: str, where: Path | str | int) -> None:
    """Reach a point: a step and the place that it is about, as a path or an open descriptor."""
    if not _ARMED:
        return
    path = Path(f"/proc/self/fd/{where}").readlink() if isinstance(where, int) else Path(where)
    name = f"{step} {_place(path)}"
    if _TRACE:
        with Path(_TRACE).open("a", encoding="ascii") as trace:
            trace.write(f"{name}\n")
    if name != _PLAN:
        return
    _reached[name] += 1
    if _reached[name] >= int(_COUNT or 1) and _first():
        _die()


def _place(path: Path) -> str:
    """Name the folder of a zone that a path is in, such as `arrived`, or a zone's database."""
    for zone in ("inbox", "outbox"):
        if zone in path.parts[:-2]:
            folder = path.parts[path.parts.index(zone) + 1]
            return path.stem if folder == "db" else folder
    return path.parent.name


def _first() -> bool:
    if not _ONCE:
        return True
    try:
        Path(_ONCE).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _die() -> None:
    if _TREE:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
