"""A receiving node inside the test's own process, and peers that send to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.config import NodeConfig, Receive
from node.config.sections import NodeSection
from node.inbox.header import read_header
from node.inbox.layout import Inbox
from node.receive.admission import Places, policy_of
from node.receive.reports import Reports
from node.receive.role import deadlines_of, listen, tls_of
from node.receive.session import Receiver
from node.receive.storage import Storage
from node.upper_layer import (
    Deadlines,
    Listener,
    Proposal,
    RequestedAssociation,
    open_association,
)
from tests.factories import make_instance
from tests.ports import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = str(ExplicitVRLittleEndian)
IMAGE = 1


@dataclass
class Receiving:
    """A node that listens, and what it has."""

    port: int
    inbox: Inbox
    receiver: Receiver
    listeners: list[Listener]

    @property
    def arrived(self) -> list[Path]:
        """The durable files, in the order of their names."""
        return sorted(self.inbox.arrived.iterdir())

    @property
    def spooled(self) -> list[Path]:
        """What lies in the spool, folders and hidden files included."""
        found: list[Path] = []
        for folder, folders, files in os.walk(self.inbox.spool):  # folders vanish as we look
            found += [Path(folder, name) for name in (*folders, *files)]
        return sorted(found)


def config_of(folder: Path, **receive: Any) -> NodeConfig:
    """Give a configuration with a free port and little need of room."""
    settings = {
        "host": "127.0.0.1",
        "port": free_port(),
        "min_free_bytes": 0,
    } | receive
    return NodeConfig(node=NodeSection(data_dir=folder), receive=Receive(**settings))


@contextmanager
def receiving(folder: Path, **receive: Any) -> Iterator[Receiving]:
    """Receive into a folder while the block runs; `receive` are keys of `[receive]`."""
    config = config_of(folder, **receive)
    inbox = Inbox(config.inbox_dir)
    inbox.create()
    stop = threading.Event()
    policy = policy_of(config)
    storage = Storage(inbox, config.receive.min_free_bytes)
    listening, reporting = tls_of(config.receive)
    reports = Reports(stop, config.receive, Deadlines(), reporting)
    reports.start()
    receiver = Receiver(inbox, config.receive, policy, Places(policy), storage, reports)
    listeners = listen(config.receive, receiver, deadlines_of(config.receive), listening)
    try:
        yield Receiving(config.receive.port, inbox, receiver, listeners)
    finally:
        for listener in listeners:
            listener.drain(5)
        stop.set()


def encoded(instance: FileDataset) -> tuple[str, str, bytes]:
    """Give an instance as it goes over the wire: SOP class, SOP instance, dataset bytes."""
    buffer = BytesIO()
    instance.save_as(buffer, enforce_file_format=True)
    whole = buffer.getvalue()
    header = read_header(whole)
    return header.sop_class_uid, header.sop_instance_uid, whole[header.dataset_offset :]


def ct(instance: int = 1, rows: int = 16, syntax: UID = ExplicitVRLittleEndian) -> FileDataset:
    """Give a CT image by ordinal."""
    return make_instance(instance=instance, rows=rows, syntax=syntax)


@contextmanager
def sending(
    port: int,
    calling: str = "CT1",
    called: str = "DEIDNODE",
    sop_class: str = CT,
    syntax: str = EXPLICIT,
) -> Iterator[RequestedAssociation]:
    """Open an association with one Storage context."""
    proposals = [Proposal(IMAGE, sop_class, (syntax,))]
    with open_association("127.0.0.1", port, calling, called, proposals) as association:
        yield association


def send(association: RequestedAssociation, instance: FileDataset, message_id: int = 1) -> int:
    """C-STORE an instance and give the status."""
    sop_class, sop_instance, dataset = encoded(instance)
    return association.send_store(
        IMAGE, message_id, sop_class, sop_instance, [dataset], len(dataset)
    )


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> bool:
    """Wait until something is so; say whether it became so."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()
