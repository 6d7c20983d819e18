"""The digest by which an original is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from blake3 import blake3

from node.inbox.dataset_digest import dataset_digest
from node.inbox.header import read_header
from tests.factories import make_instance, write_instance


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give an original that takes more than one window."""
    return write_instance(tmp_path / "original.dcm", make_instance(rows=1024))


def dataset_of(path: Path) -> bytes:
    """Give the bytes after the File Meta."""
    return path.read_bytes()[read_header(path).dataset_offset :]


def test_it_is_over_the_dataset_and_says_how_it_was_made(path: Path) -> None:
    """The File Meta is ours, and another one in each association."""
    assert dataset_digest(path) == "blake3:" + blake3(dataset_of(path)).hexdigest()


def test_a_digest_of_before_is_made_again_as_it_was(path: Path) -> None:
    """What says nothing is SHA-256."""
    older = hashlib.sha256(dataset_of(path)).hexdigest()
    assert dataset_digest(path, like=older) == older


def test_what_this_version_cannot_make_is_no_digest_of_anything(path: Path) -> None:
    """A newer version's is not taken for an older one's."""
    with pytest.raises(ValueError, match="does not know"):
        dataset_digest(path, like="newer:00")
