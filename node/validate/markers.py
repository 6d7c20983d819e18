"""Whether the output says of itself what was done, and no more (PS3.15 E.1.1, E.2, CID 7050)."""

from __future__ import annotations

from collections.abc import Iterator

from node.profile.profile import Profile
from node.profile.recipe import METHOD_VERSION
from node.validate.elements import Item
from node.validate.findings import Finding, Severity, tag_path
from node.validate.special import IDENTITY_REMOVED, LONGITUDINAL, METHOD, METHOD_CODES

_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_LONGEST = 64  # characters of an LO


def check_markers(source: Item, output: Item, profile: Profile) -> Iterator[Finding]:
    """Compare the markers with what the profile does; what the original said before stays."""
    if _value(output, IDENTITY_REMOVED) != b"YES":
        yield _finding(IDENTITY_REMOVED, "Patient Identity Removed does not say YES.")
    ours = f"deid-node {METHOD_VERSION}, profile {profile.name}".encode()[:_LONGEST].strip()
    before, after = _values(source, METHOD), _values(output, METHOD)
    if after not in ([*before, ours], before if ours in before else None):
        yield _finding(METHOD, "Should say the earlier methods, and then us and the profile.")
    claimed, wanted = _codes(output), _codes(source) | _profile_codes(profile)
    if missing := wanted - claimed:
        yield _finding(METHOD_CODES, f"{len(missing)} of CID 7050's codes are missing.")
    if untrue := claimed - wanted:
        yield _finding(METHOD_CODES, f"Claims {len(untrue)} codes that the profile does not do.")
    if _value(output, LONGITUDINAL) != profile.longitudinal.encode():
        yield _finding(LONGITUDINAL, f"Should say {profile.longitudinal}.")


def _finding(tag: int, explanation: str) -> Finding:
    return Finding("markers", Severity.INVALID, tag_path("", tag), explanation)


def _value(item: Item, tag: int) -> bytes:
    return item.value(tag).strip(b" \0")


def _values(item: Item, tag: int) -> list[bytes]:
    value = _value(item, tag)
    return [part.strip(b" \0") for part in value.split(b"\\")] if value else []


def _codes(dataset: Item) -> set[tuple[bytes, bytes, bytes]]:
    sequence = dataset.by_tag.get(METHOD_CODES)
    items = sequence.items or () if sequence else ()
    return {
        (_value(item, _SCHEME), _value(item, _CODE_VALUE), _value(item, _MEANING)) for item in items
    }


def _profile_codes(profile: Profile) -> set[tuple[bytes, bytes, bytes]]:
    return {
        (item.scheme.encode(), item.value.encode(), item.meaning.encode())
        for item in profile.code_items()
    }
