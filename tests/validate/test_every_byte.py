"""Every byte of the output counts: change any one, and the validator sees it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from node.deid import deidentify
from node.inbox.dataset_digest import dataset_digest
from node.inbox.header import read_header
from node.profile.recipe import Recipe
from node.validate import validate
from tests.factories import make_instance, write_instance
from tests.validate.rich import rich_image, rich_report


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("make", "profile"), [(rich_image, "basic"), (rich_report, "research")])
def test_a_changed_byte_is_seen(
    make: object, profile: str, step: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Preamble, meta, headers, values, padding and pixels: no byte is nobody's."""
    recipe: Recipe = request.getfixturevalue(profile)
    source, target = write_instance(tmp_path / "source.dcm", make()), tmp_path / "target.dcm"
    deidentify(source, target, recipe)
    target.chmod(0o600)
    whole = target.read_bytes()
    assert not validate(source, target, recipe).holds
    unseen = []
    for at in range(0, len(whole), step):
        changed = bytearray(whole)
        changed[at] ^= 1
        target.write_bytes(changed)
        if not validate(source, target, recipe).holds:
            unseen.append(at)
    assert unseen == []


def test_the_digest_is_of_the_bytes_that_were_judged(
    tmp_path: Path, basic: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives another header at a second reading gives one that nobody has judged."""
    source = write_instance(tmp_path / "source.dcm", make_instance(rows=512))
    target = tmp_path / "target.dcm"
    deidentify(source, target, basic)
    judged, file = target.read_bytes(), target.stat().st_ino
    real = os.preadv

    def other(fd: int, buffers: list[Any], offset: int) -> int:
        length = real(fd, buffers, offset)
        if os.fstat(fd).st_ino == file and offset <= 400 < offset + length:
            buffers[0][400 - offset] ^= 1
        return length

    monkeypatch.setattr(os, "preadv", other)
    verdict = validate(source, target, basic)
    assert verdict.holds or verdict.sha256 == hashlib.sha256(judged).hexdigest()


def test_the_digest_of_an_original_is_of_all_that_was_sent(tmp_path: Path, basic: Recipe) -> None:
    """Also where its data set begins with what looks like File Meta: a copy must be known by it."""
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    whole = write_instance(source, make_instance()).read_bytes()
    deidentify(source, target, basic)
    assert validate(source, target, basic).source_digest == dataset_digest(source)
    at = read_header(source).dataset_offset
    source.write_bytes(whole[:at] + b"\2\0\x02\1OB\0\0\4\0\0\0abcd" + whole[at:])
    assert validate(source, target, basic).source_digest in ("", dataset_digest(source))
