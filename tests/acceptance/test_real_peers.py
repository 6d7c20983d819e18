"""DCMTK as modality, DCMTK and Orthanc as research PACS, over real sockets."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from mirakuru import HTTPExecutor, TCPExecutor
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.acceptance.running_node import running_node
from tests.conftest import ORTHANC
from tests.factories import make_instance, write_instance
from tests.peers import research_pacs
from tests.ports import free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.peer]

#: storescu's option for each transfer syntax, and the syntax that a file of ours is made in for it.
SYNTAXES = {
    "explicit little endian": ("-xe", ExplicitVRLittleEndian),
    "implicit little endian": ("-xi", ImplicitVRLittleEndian),
    "explicit big endian": ("-xb", ExplicitVRLittleEndian),
    "deflated": ("-xd", ExplicitVRLittleEndian),
    "JPEG lossless": ("-xs", JPEGLosslessSV1),
    "JPEG-LS": ("-xt", JPEGLSLossless),
    "JPEG 2000": ("-xv", JPEG2000Lossless),
    "RLE": ("-xr", RLELossless),
}


def dcmtk(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a DCMTK program as an untuned modality does."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_echoscu_is_answered(tmp_path: Path) -> None:
    """C-ECHO is how an administrator tries a new node first."""
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        done = dcmtk("echoscu", "-aec", "DEIDNODE", "127.0.0.1", str(node.port))
    assert done.returncode == 0, done.stderr


def written_in(syntax: UID, path: Path, instance: int) -> FileDataset:
    """Write an image in a transfer syntax and give it as it was before."""
    native = syntax if syntax.is_implicit_VR else ExplicitVRLittleEndian
    # OpenJPEG's default decomposition needs 32 rows or more.
    image = make_instance(instance=instance, syntax=native, rows=64)
    write_instance(path, image)
    if syntax == JPEGLosslessSV1:
        plain = path.with_suffix(".plain")
        path.rename(plain)
        assert dcmtk("dcmcjpeg", "+e1", str(plain), str(path)).returncode == 0
    elif syntax.is_compressed:
        compressed = pydicom.dcmread(path)
        compressed.compress(syntax, generate_instance_uid=False)
        write_instance(path, compressed)
    return image


def test_storescu_delivers_every_transfer_syntax(tmp_path: Path) -> None:
    """What is sent in a syntax arrives proven, with the same pixels."""
    sent = {}
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        for number, (name, (option, syntax)) in enumerate(SYNTAXES.items(), start=1):
            path = tmp_path / f"{number}.dcm"
            sent[number] = written_in(syntax, path, number)
            done = dcmtk(
                "storescu", option, "-aec", "DEIDNODE", "127.0.0.1", str(node.port), str(path)
            )
            assert done.returncode == 0, f"{name}: {done.stderr}"
        status = node.wait_settled(received=len(SYNTAXES))
        assert status["conservation"]["released"] == len(SYNTAXES), node.log()[-4000:]
        arrived = {int(d.InstanceNumber): d for d in pacs.datasets()}
    assert set(arrived) == set(sent)
    for number, image in sent.items():
        assert (arrived[number].pixel_array == image.pixel_array).all(), number


def test_storescp_as_research_pacs_gets_a_study_from_dcmsend(tmp_path: Path) -> None:
    """DCMTK on both sides."""
    source, sink = tmp_path / "source", tmp_path / "sink"
    sink.mkdir()
    for n in range(1, 11):
        write_instance(source / f"{n}.dcm", make_instance(instance=n))
    port = free_port()
    storescp = ["storescp", "-aet", "RESEARCH", "-od", str(sink), "+xa", str(port)]
    with (
        TCPExecutor(storescp, "127.0.0.1", port, shell=False, timeout=20),
        running_node(tmp_path, port) as node,
    ):
        done = dcmtk("dcmsend", "-aec", "DEIDNODE", "127.0.0.1", str(node.port), "+sd", str(source))
        assert done.returncode == 0, done.stderr
        node.wait_settled(received=10)
        files = list(sink.iterdir())
    assert len(files) == 10
    assert all(pydicom.dcmread(file).PatientIdentityRemoved == "YES" for file in files)


@contextmanager
def orthanc(folder: Path) -> Iterator[tuple[int, str]]:
    """Run Orthanc with an empty store; give its DICOM port and its REST address."""
    folder.mkdir()
    dicom, http = free_port(), free_port()
    config = folder / "orthanc.json"
    settings = {
        "Name": "RESEARCH", "DicomAet": "RESEARCH", "DicomPort": dicom, "HttpPort": http,
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }  # fmt: skip
    config.write_text(json.dumps(settings))
    address = f"http://127.0.0.1:{http}"
    command = [str(ORTHANC), str(config)]
    with HTTPExecutor(command, f"{address}/system", method="GET", shell=False, timeout=30):
        yield dicom, address


def ask(address: str) -> object:
    """GET a JSON document from Orthanc."""
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 -- our own http
        return json.load(answer)


def test_orthanc_as_research_pacs_holds_one_study_of_one_patient(tmp_path: Path) -> None:
    """What Orthanc indexes is the pseudonymous patient, once."""
    source = tmp_path / "source"
    for n in range(1, 6):
        write_instance(source / f"{n}.dcm", make_instance(instance=n))
    with (
        orthanc(tmp_path / "orthanc") as (port, address),
        running_node(tmp_path, port) as node,
    ):
        done = dcmtk("dcmsend", "-aec", "DEIDNODE", "127.0.0.1", str(node.port), "+sd", str(source))
        assert done.returncode == 0, done.stderr
        node.wait_settled(received=5)
        assert len(list(ask(f"{address}/instances"))) == 5  # type: ignore[call-overload]
        (patient,) = ask(f"{address}/patients?expand")  # type: ignore[misc]
        assert patient["MainDicomTags"]["PatientID"].startswith("P")
        assert "Quillfeather" not in json.dumps(patient)
