"""What says that, and how, an instance was de-identified (PS3.15 E.1.1, E.2; PS3.3 C.12.1)."""

from __future__ import annotations

from dataclasses import dataclass

from node.deid.dummies import encoded
from node.deid.dummy_items import code_item
from node.deid.element import tag_bytes
from node.profile.profile import Profile
from node.profile.recipe import METHOD_VERSION

IDENTITY_REMOVED, METHOD, METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
LONGITUDINAL = 0x00280303
#: At the top level these are ours; what the source said of an earlier time is carried over.
OURS = frozenset({IDENTITY_REMOVED, METHOD, METHOD_CODES, LONGITUDINAL})
_LONGEST = 64  # characters of an LO


@dataclass(frozen=True, slots=True)
class Marks:
    """What is said of every instance that a profile treats, encoded."""

    removed: bytes
    method: bytes
    codes: tuple[bytes, ...]
    longitudinal: bytes
    implicit: bool


def marks_of(profile: Profile, *, implicit: bool) -> Marks:
    """Say what a profile does."""
    return Marks(
        _element(IDENTITY_REMOVED, "CS", b"YES", implicit=implicit),
        method_of(profile),
        tuple(
            code_item(code.value, code.scheme, code.meaning, implicit=implicit)
            for code in profile.code_items()
        ),
        _element(LONGITUDINAL, "CS", profile.longitudinal.encode(), implicit=implicit),
        implicit,
    )


def markers(
    marks: Marks, earlier_methods: bytes, earlier_codes: list[bytes]
) -> list[tuple[int, bytes]]:
    """Give our elements by tag, in order; what an earlier de-identification said stays before."""
    method, codes, implicit = marks.method, marks.codes, marks.implicit
    earlier = [part.strip(b" \0") for part in earlier_methods.split(b"\\")]
    methods = [part for part in earlier if part and part != method] + [method]
    items = [item for item in earlier_codes if item not in codes] + list(codes)
    return [
        (IDENTITY_REMOVED, marks.removed),
        (METHOD, _element(METHOD, "LO", b"\\".join(methods), implicit=implicit)),
        (METHOD_CODES, _element(METHOD_CODES, "SQ", b"".join(items), implicit=implicit)),
        (LONGITUDINAL, marks.longitudinal),
    ]


def method_of(profile: Profile) -> bytes:
    """Name us, the version of our rules and the profile in what an LO may hold."""
    text = f"deid-node {METHOD_VERSION}, profile {profile.name}".encode("ascii", "replace")
    return text.replace(b"\\", b"?")[:_LONGEST].strip()


def _element(tag: int, vr: str, value: bytes, *, implicit: bool) -> bytes:
    return encoded(tag_bytes(tag), vr, value, implicit=implicit)
