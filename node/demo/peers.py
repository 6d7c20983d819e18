"""The node's neighbours in the demo: a modality simulator (SCU) and a research PACS (SCP)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

from node.demo.patients import Study

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
    entity = AE(ae_title="CT1")
    entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", port, ae_title="DEIDNODE")
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status.get("Status") == SUCCESS)


def send_study(study: Study, port: int, sent: Callable[[], None]) -> None:
    """Send a study on one association, as a modality does; `sent` is called after each instance.

    Raises
    ------
    ModalityFailed
        When the node does not take an instance.
    """
    entity = AE(ae_title="CT1")
    for sop_class in STORAGE:
        entity.add_requested_context(sop_class)
    association = entity.associate("127.0.0.1", port, ae_title="DEIDNODE")
    if not association.is_established:
        raise ModalityFailed(f"{study.title}: no association")
    try:
        for instance in study.instances:
            status = association.send_c_store(instance)
            if status.get("Status") != SUCCESS:
                raise ModalityFailed(f"{study.title}: status {status.get('Status', 'none')}")
            sent()
    finally:
        association.release()
