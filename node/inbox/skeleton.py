"""The bones of a file's beginning: the headers of its elements, and where they stand.

A walk over elements is led by their headers alone (tag, VR, length). A file with the same bytes at
all the steps of another's walk would be walked alike, to values at the same places; so it need not
be walked. The instances of a series mostly are such files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise

from node.inbox.element_walk import Place


class Skeleton:
    """What one walk looked at in a file's beginning, and what it found there."""

    def __init__(
        self,
        beginning: bytes,
        steps: Iterable[Place],
        places: Mapping[int, Place],
        dataset_offset: int,
    ) -> None:
        #: Where the dataset begins, in bytes from the file's beginning.
        self.dataset_offset = dataset_offset
        self._slices = {tag: slice(at, at + length) for tag, (at, length) in places.items()}
        bones, end = "", 0
        for at, length in steps:
            bones += f"{at - end}x{length}s"
            end = at + length
        self._bones = struct.Struct(bones)
        self._looked_at = self._bones.unpack_from(beginning)

    def values_in(self, beginning: bytes) -> dict[int, bytes] | None:
        """Give the wanted values of a file with these bones; None where it has others."""
        if len(beginning) < self._bones.size:
            return None
        if self._bones.unpack_from(beginning) != self._looked_at:
            return None
        return {tag: beginning[where] for tag, where in self._slices.items()}


def are_in_order(steps: Iterable[Place]) -> bool:
    """Tell whether each begins where the one before it ended, or later."""
    return all(at + length <= following for (at, length), (following, _) in pairwise(steps))
