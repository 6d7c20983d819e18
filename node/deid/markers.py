"""What says that, and how, an instance was de-identified (PS3.15 E.1.1, E.2; PS3.3 C.12.1)."""

from __future__ import annotations

from functools import lru_cache

from node import __version__
from node.deid.dummies import encoded
from node.deid.dummy_items import code_item
from node.deid.element import tag_bytes
from node.profile.profile import Profile

IDENTITY_REMOVED, METHOD, METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
LONGITUDINAL = 0x00280303
#: At the top level these are ours; what the source said of an earlier time is carried over.
OURS = frozenset({IDENTITY_REMOVED, METHOD, METHOD_CODES, LONGITUDINAL})
_LONGEST = 64  # characters of an LO


def markers(
    profile: Profile, earlier_methods: bytes, earlier_codes: list[bytes], *, implicit: bool
) -> list[tuple[int, bytes]]:
    """Give our elements by tag, in order; what an earlier de-identification said stays before."""
    removed, method, codes, longitudinal = _ours(profile, implicit)
    earlier = [part.strip(b" \0") for part in earlier_methods.split(b"\\")]
    methods = [part for part in earlier if part and part != method] + [method]
    items = [item for item in earlier_codes if item not in codes] + list(codes)
    return [
        (IDENTITY_REMOVED, removed),
        (METHOD, _element(METHOD, "LO", b"\\".join(methods), implicit=implicit)),
        (METHOD_CODES, _element(METHOD_CODES, "SQ", b"".join(items), implicit=implicit)),
        (LONGITUDINAL, longitudinal),
    ]


def method_of(profile: Profile) -> bytes:
    """Name us, our version and the profile in what an LO may hold."""
    text = f"deid-node {__version__}, profile {profile.name}".encode("ascii", "replace")
    return text.replace(b"\\", b"?")[:_LONGEST].strip()


@lru_cache(maxsize=16)
def _ours_of(
    method: bytes, codes: tuple[tuple[str, str, str], ...], longitudinal: str, implicit: bool
) -> tuple[bytes, bytes, tuple[bytes, ...], bytes]:
    return (
        _element(IDENTITY_REMOVED, "CS", b"YES", implicit=implicit),
        method,
        tuple(code_item(*code, implicit=implicit) for code in codes),
        _element(LONGITUDINAL, "CS", longitudinal.encode(), implicit=implicit),
    )


def _ours(profile: Profile, implicit: bool) -> tuple[bytes, bytes, tuple[bytes, ...], bytes]:
    codes = tuple((item.value, item.scheme, item.meaning) for item in profile.code_items())
    return _ours_of(method_of(profile), codes, profile.longitudinal, implicit)


def _element(tag: int, vr: str, value: bytes, *, implicit: bool) -> bytes:
    return encoded(tag_bytes(tag), vr, value, implicit=implicit)
