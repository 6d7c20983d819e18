"""The node's neighbours as tests play them: a modality that sends, a research PACS that keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


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
    """Send instances on one association and give each one's C-STORE status."""
    instances = list(datasets)
    entity = AE(ae_title=calling)
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = timeout
    pairs = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in instances}
    entity.requested_contexts = [build_context(sop_class, ts) for sop_class, ts in sorted(pairs)]
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        raise ConnectionError("the node did not accept the association")
    try:
        return [int(association.send_c_store(dataset).get("Status", -1)) for dataset in instances]
    finally:
        association.release()
