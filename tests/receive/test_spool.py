"""An association's folder: locked as long as it is open, gone afterwards, never of another."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from node import disk
from node.inbox.layout import Inbox
from node.receive.spool import Spool, clean_dead_folders, new_association_id
from tests.receive.receiving import ct, receiving, send, sending, wait_until


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """Give an inbox with its folders."""
    inbox = Inbox(tmp_path)
    inbox.create()
    return inbox


def test_a_folder_is_locked_while_its_association_is_open(inbox: Inbox) -> None:
    """So that a folder whose lock is free is dead, and may be cleaned."""
    with Spool(inbox, "0123456789") as spool:
        assert not list(inbox.spool.iterdir())
        with spool.begin() as partial:
            disk.write(partial.fd, b"half")
            folder = inbox.spool / "0123456789"
            assert disk.is_locked(folder)
            assert clean_dead_folders(inbox) == 0
            assert [path.name for path in folder.iterdir()] == ["0123456789-000001.part"]
        assert not list(folder.iterdir())
        assert disk.is_locked(folder)
    assert not list(inbox.spool.iterdir())


def test_over_the_wire_the_lock_is_there_between_instances(tmp_path: Path) -> None:
    """Who watches the spool sees which associations are open."""
    with receiving(tmp_path) as node:
        with sending(node.port) as association:
            send(association, ct())
            (folder,) = node.inbox.spool.iterdir()
            assert folder.name == node.arrived[0].name[:10]
            assert disk.is_locked(folder)
        assert wait_until(lambda: not node.spooled)


def test_the_next_file_is_there_before_it_is_asked_for(inbox: Inbox) -> None:
    """It is made while the peer is still about to send; unused, it is gone with the folder."""
    with Spool(inbox, "0123456789") as spool:
        spool.begin().discard()
        spool.prepare()
        spool.prepare()
        folder = inbox.spool / "0123456789"
        assert [path.name for path in folder.iterdir()] == ["0123456789-000002.part"]
        with spool.begin() as partial:
            partial.write([memoryview(b"whole")])
            partial.keep()
        spool.prepare()
    assert [path.name for path in inbox.arrived.iterdir()] == ["0123456789-000002.dcm"]
    assert not list(inbox.spool.iterdir())


def test_a_name_that_is_taken_is_never_replaced(inbox: Inbox) -> None:
    """Whatever lies in `arrived` under that name stays."""
    taken = inbox.arrived / "0123456789-000001.dcm"
    taken.write_bytes(b"first")
    with (
        Spool(inbox, "0123456789") as spool,
        pytest.raises(FileExistsError),
        spool.begin() as partial,
    ):
        partial.keep()
    assert taken.read_bytes() == b"first"
    assert not list(inbox.spool.iterdir())


def test_a_symlink_planted_in_the_spool_is_not_followed(inbox: Inbox, tmp_path: Path) -> None:
    """The partial file must be a new one."""
    outside = tmp_path / "outside"
    with Spool(inbox, "0123456789") as spool:
        with spool.begin():
            pass
        planted = inbox.spool / "0123456789" / "0123456789-000002.part"
        planted.symlink_to(outside)
        with pytest.raises(OSError, match=os.strerror(errno.EEXIST)):
            spool.begin()
    assert not outside.exists()


def test_ids_are_never_the_same() -> None:
    """Ten characters of 32: 50 bits of chance."""
    assert len({new_association_id() for _ in range(10_000)}) == 10_000
