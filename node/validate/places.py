"""Where in a data set something stands, and how it came there.

Kept cheap: a path is only written out when somebody must read it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from node.validate.elements import Element
from node.validate.findings import tag_path


class Where(NamedTuple):
    """The item that an element stands in: a sequence of its parent, and which item of it."""

    parent: Where | None
    tag: int
    item: int

    @property
    def tags(self) -> tuple[int, ...]:
        """The sequences' tags from the top level down."""
        return (*(self.parent.tags if self.parent else ()), self.tag)


def path(where: Where | None, tag: int) -> str:
    """Write an element's place: `(0040,A730)[2]>(0040,A160)`."""
    return tag_path(_item_path(where), tag)


def _item_path(where: Where | None) -> str:
    if where is None:
        return ""
    return tag_path(_item_path(where.parent), where.tag, where.item)


class Origin(Enum):
    """How an output value came about."""

    PROVEN = (
        "proven"  #: empty, or exactly what the key makes of the original: holds no source value
    )
    KEPT = "kept"  #: the profile keeps it, and it is what the original says at this place
    WRITTEN = "written"  #: cleaned, replaced or invented
    STRAY = "stray"  #: it should not be there


class Place(NamedTuple):
    """An output value in which source values must be searched for."""

    origin: Origin
    element: Element
    where: Where | None
    charset: tuple[str, ...]
