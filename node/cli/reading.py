"""How a verb that reads the node's folders ends where it may not read them, or cannot."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from node.cli.options import leave
from node.database import DatabaseOld, DatabaseTooNew

P = ParamSpec("P")
R = TypeVar("R")


def told(verb: Callable[P, R]) -> Callable[P, R]:
    """Let a verb that reads the node's folders end in one line where it may not, or cannot."""

    @functools.wraps(verb)
    def telling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except (DatabaseOld, DatabaseTooNew) as error:
            leave(str(error))
        except OSError as error:
            leave(f"{error.filename or 'the node'}: {error.strerror or type(error).__name__}")

    return telling
