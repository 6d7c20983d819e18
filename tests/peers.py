"""The node's neighbours as tests play them: a modality that sends, a research PACS that keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.upper_layer import (
    Deadlines,
    Proposal,
    RequestedAssociation,
    UpperLayerError,
    open_association,
)


@dataclass
class ResearchPacs:
    """A Storage SCP that keeps what it is sent, and how often."""

    port: int
    folder: Path
    received: list[str] = field(default_factory=list)

    def datasets(self) -> list[pydicom.FileDataset]:
        """Read everything that it holds."""
        return [pydicom.dcmread(path) for path in sorted(self.folder.glob("*.dcm"))]

    def content(self) -> bytes:
        """Give all bytes that it holds, to search for what must not be there."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.dcm")))


@contextmanager
def research_pacs(folder: Path, port: int = 0) -> Iterator[ResearchPacs]:
    """Run a research PACS on a port of 127.0.0.1 while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    entity = AE(ae_title="RESEARCH")
    entity.maximum_associations = 64
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
    entity.add_supported_context(Verification)
    pacs = ResearchPacs(port, folder)

    def store(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        part = folder / f"{uid}.part"
        part.write_bytes(event.encoded_dataset())
        part.rename(folder / f"{uid}.dcm")
        pacs.received.append(uid)
        return 0x0000

    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    pacs.port = server.server_address[1]
    try:
        yield pacs
    finally:
        server.shutdown()


def send(
    datasets: Iterable[Dataset],
    port: int,
    calling: str = "CT1",
    called: str = "DEIDNODE",
    timeout: float = 60,
) -> list[int]:
    """Send instances on one association and give each one's C-STORE status, -1 for no answer.

    Not by pynetdicom's `send_c_store`, which now and then loses an answer on a busy machine;
    tests/acceptance/test_real_peers.py lets DCMTK send. Raises UpperLayerError without association.
    """
    instances = list(datasets)
    pairs = sorted({(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in instances})
    proposals = [
        Proposal(2 * number + 1, sop_class, (syntax,))
        for number, (sop_class, syntax) in enumerate(pairs)
    ]
    deadlines = Deadlines(associate=timeout, answer=timeout, write=timeout, release=timeout)
    statuses = [-1] * len(instances)
    with (
        open_association("127.0.0.1", port, calling, called, proposals, deadlines) as association,
        suppress(UpperLayerError),
    ):
        for number, dataset in enumerate(instances):
            statuses[number] = _store(association, number + 1, dataset)
    return statuses


def _store(association: RequestedAssociation, number: int, dataset: Dataset) -> int:
    syntax = dataset.file_meta.TransferSyntaxUID
    encoded = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    assert encoded is not None
    (context,) = (
        context
        for context in association.contexts.values()
        if (context.abstract_syntax, context.transfer_syntax) == (dataset.SOPClassUID, syntax)
    )
    return association.send_store(
        context.context_id, number, dataset.SOPClassUID, dataset.SOPInstanceUID,
        [encoded], len(encoded),
    )  # fmt: skip
