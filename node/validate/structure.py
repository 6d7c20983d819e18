"""Whether the output, as a file, is what PS3.10 wants and nothing more.

Every byte belongs to something: a preamble of zeros, the File Meta that we write, a data set in
order, pixel data of exactly its length. Whatever else a file can carry is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.validate.findings import Finding, Severity, tag_path
from node.validate.reader import EXPLICIT_BE, Parsed

_GROUP_LENGTH, _VERSION = 0x00020000, 0x00020001
_CLASS_UID, _INSTANCE_UID, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_IMPLEMENTATION, _IMPLEMENTATION_NAME = 0x00020012, 0x00020013
_REQUIRED = (_GROUP_LENGTH, _VERSION, _CLASS_UID, _INSTANCE_UID, _SYNTAX, _IMPLEMENTATION)
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
_MEDIA_GROUP = 0x0004
_TRAILING_PADDING = 0xFFFCFFFC


def check_structure(output: Parsed) -> Iterator[Finding]:
    """Check preamble, File Meta, order of the data set and what may follow it."""
    if output.preamble != bytes(128):
        yield _finding(Severity.LEAK, "preamble", "The preamble is not 128 zero bytes.")
    for oddity in output.oddities:
        yield _finding(Severity.INVALID, "file", f"Not as PS3.5 wants it: {oddity}.")
    if output.syntax == EXPLICIT_BE:
        yield _finding(Severity.INVALID, "file", "Written in a retired transfer syntax.")
    yield from _check_meta(output)
    for tag in output.dataset.by_tag:
        if tag >> 16 == _MEDIA_GROUP or tag == _TRAILING_PADDING:
            yield _finding(Severity.LEAK, tag_path("", tag), "This has no place in an instance.")


def _check_meta(output: Parsed) -> Iterator[Finding]:
    meta, dataset = output.meta, output.dataset
    for tag in meta.by_tag.keys() - {*_REQUIRED, _IMPLEMENTATION_NAME}:
        yield _finding(Severity.LEAK, tag_path("", tag), "File Meta holds more than ours does.")
    for tag in _REQUIRED:
        if tag not in meta.by_tag:
            yield _finding(Severity.INVALID, tag_path("", tag), "Missing from the File Meta.")
    expected = {
        _VERSION: b"\0\1",
        _CLASS_UID: dataset.value(SOP_CLASS_UID),
        _INSTANCE_UID: dataset.value(SOP_INSTANCE_UID),
        _IMPLEMENTATION: IMPLEMENTATION_CLASS_UID.encode(),
        _IMPLEMENTATION_NAME: IMPLEMENTATION_VERSION_NAME.encode(),
        _GROUP_LENGTH: _meta_length(output).to_bytes(4, "little"),
    }
    for tag, value in expected.items():
        element = meta.by_tag.get(tag)
        if element is not None and _unpadded(tag, element.value) != _unpadded(tag, value):
            yield _finding(
                Severity.INVALID,
                tag_path("", tag),
                "The File Meta does not say what we and the data set say.",
            )


def _meta_length(output: Parsed) -> int:
    last = max(output.meta, key=lambda element: element.start, default=None)
    first = output.meta.by_tag.get(_GROUP_LENGTH)
    return last.start + last.length - first.start - first.length if last and first else 0


def _unpadded(tag: int, value: bytes) -> bytes:
    return value if tag in (_GROUP_LENGTH, _VERSION) else value.rstrip(b"\0 ")


def _finding(severity: Severity, place: str, explanation: str) -> Finding:
    return Finding("structure", severity, place, explanation)
