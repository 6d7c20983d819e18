"""The node's neighbours in the demo: a modality simulator (SCU) and a research PACS (SCP)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode

from node.demo.patients import Study
from node.upper_layer import Proposal, RequestedAssociation, UpperLayerError, open_association

STORAGE = (CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage)
#: PS3.4 A.4: the SOP Class of C-ECHO.
VERIFICATION = "1.2.840.10008.1.1"
SUCCESS = 0x0000


class ModalityFailed(Exception):  # noqa: N818 -- a fact
    """The modality simulator could not send a study."""


def free_port() -> int:
    """Find a port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def research_pacs(folder: Path, port: int) -> Iterator[None]:
    """Keep every instance that is sent to it as `<study UID>/<SOP Instance UID>.dcm`."""
    folder.mkdir(parents=True, exist_ok=True)

    def handle_store(event: evt.Event) -> int:
        instance = event.dataset
        study = folder / str(instance.StudyInstanceUID)
        study.mkdir(exist_ok=True)
        name = str(instance.SOPInstanceUID)
        part = study / f"{name}.part"
        part.write_bytes(event.encoded_dataset())
        part.rename(study / f"{name}.dcm")
        return SUCCESS

    entity = AE(ae_title="RESEARCH")
    for sop_class in (*STORAGE, VERIFICATION):
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, handle_store)]
    )
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def answers_echo(port: int) -> bool:
    """Tell whether the node answers C-ECHO."""
    try:
        with _associate(port, VERIFICATION) as association:
            return association.echo() == SUCCESS
    except UpperLayerError:
        return False


def send_study(study: Study, port: int, sent: Callable[[], None]) -> None:
    """Send a study on one association, as a modality does; `sent` is called after each instance.

    Raises
    ------
    ModalityFailed
        When the node does not take an instance.
    """
    try:
        with _associate(port, *STORAGE) as association:
            for number, instance in enumerate(study.instances, start=1):
                status = _store(association, number, instance)
                if status != SUCCESS:
                    raise ModalityFailed(f"{study.title}: status {status:04X}")
                sent()
    except UpperLayerError as error:
        raise ModalityFailed(f"{study.title}: {error}") from None


def _associate(port: int, *sop_classes: str) -> RequestedAssociation:
    proposals = [
        Proposal(2 * number + 1, sop_class, (ExplicitVRLittleEndian,))
        for number, sop_class in enumerate(sop_classes)
    ]
    return open_association("127.0.0.1", port, "CT1", "DEIDNODE", proposals)


def _store(association: RequestedAssociation, number: int, instance: Dataset) -> int:
    encoded = encode(instance, is_implicit_vr=False, is_little_endian=True)
    if encoded is None:
        raise ModalityFailed("an instance of the demo cannot be encoded")
    context = association.accepted_context(instance.SOPClassUID)
    return association.send_store(
        context.context_id, number, instance.SOPClassUID, instance.SOPInstanceUID,
        [encoded], len(encoded),
    )  # fmt: skip
