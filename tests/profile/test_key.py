"""The pseudonym key: made once, read only when nobody else can, named without being told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from node.profile import KeyInvalid, KeyMissing, create_key, fingerprint, load_key


def test_a_new_key_is_read_back_and_is_its_owners_alone(tmp_path: Path) -> None:
    """32 bytes, mode 0600."""
    path = tmp_path / "pseudonym.key"
    key = create_key(path)
    assert load_key(path) == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_never_made_over_another(tmp_path: Path) -> None:
    """All pseudonyms of the first would be lost."""
    path = tmp_path / "pseudonym.key"
    key = create_key(path)
    with pytest.raises(FileExistsError):
        create_key(path)
    assert load_key(path) == key


def test_a_missing_key_is_told_apart_from_a_bad_one(tmp_path: Path) -> None:
    """The node may make a missing key; never replace a bad one."""
    with pytest.raises(KeyMissing):
        load_key(tmp_path / "absent.key")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31, b"x" * 33, b"x" * 4096])
def test_a_key_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    """Neither padded nor cut."""
    path = tmp_path / "pseudonym.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyInvalid, match="32 bytes"):
        load_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """Group or others, read or write."""
    path = tmp_path / "pseudonym.key"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(KeyInvalid, match="chmod 0600"):
        load_key(path)


def test_no_link_folder_or_pipe_is_taken_for_a_key(tmp_path: Path) -> None:
    """A pipe must not make the node wait, either."""
    key = tmp_path / "pseudonym.key"
    create_key(key)
    link = tmp_path / "link.key"
    link.symlink_to(key)
    pipe = tmp_path / "pipe.key"
    os.mkfifo(pipe, 0o600)
    for path in (link, pipe, tmp_path):
        with pytest.raises(KeyInvalid):
            load_key(path)


def test_the_fingerprint_names_the_key_and_no_other() -> None:
    """16 hex digits of an HMAC; a fixed vector holds it for ever."""
    assert fingerprint(bytes(range(32))) == "ceff04c6e2fa4d37"
    assert fingerprint(bytes(32)) != fingerprint(bytes(range(32)))


def test_no_error_tells_the_key(tmp_path: Path) -> None:
    """Neither message nor repr."""
    path = tmp_path / "pseudonym.key"
    path.write_bytes(b"SECRETSECRETSECRET")
    path.chmod(0o600)
    with pytest.raises(KeyInvalid) as caught:
        load_key(path)
    assert "SECRET" not in repr(caught.value)
