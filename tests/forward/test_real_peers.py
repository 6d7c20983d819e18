"""DCMTK and Orthanc as destinations, plain, over TLS and by DICOMweb."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from mirakuru import HTTPExecutor, TCPExecutor
from pydicom import dcmread

from node.outbox.manifest import Manifest
from node.outbox.states import DeliveryState
from tests.conftest import ORTHANC, ORTHANC_DICOMWEB
from tests.forward.harness import World, dicom_destination, make_world, tick_until
from tests.ports import free_port

pytestmark = pytest.mark.peer
S = DeliveryState
LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Papers:
    """PEM files: the authority's certificate, and two certificates with their keys."""

    ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]
    stranger: tuple[Path, Path]


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Give certificates of one authority, and one of another."""
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def issue(name: str, issuer: trustme.CA) -> tuple[Path, Path]:
        made = issuer.issue_cert(LOCAL)
        certificate, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(str(certificate))
        made.private_key_pem.write_to_path(str(key))
        return certificate, key

    return Papers(
        tmp_path / "ca.pem",
        issue("server", authority),
        issue("client", authority),
        issue("stranger", other),
    )


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """Run DCMTK's storescp and give its port."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    command = ["storescp", "-aet", "PACS", "-od", str(folder), *options, str(port)]
    with TCPExecutor(
        command, LOCAL, port, shell=False, timeout=30, envvars={**os.environ, "TCP_NODELAY": "1"}
    ):
        yield port


@contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[tuple[int, int]]:
    """Run Orthanc and give its DICOM port and its HTTP port."""
    folder.mkdir(exist_ok=True)
    dicom, http = free_port(), free_port()
    (folder / "orthanc.json").write_text(
        json.dumps(
            {
                "DicomAet": "PACS", "DicomPort": dicom, "HttpPort": http,
                "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
                "RemoteAccessAllowed": True, "AuthenticationEnabled": False, "Plugins": [],
                "OverwriteInstances": False, **settings,
            }
        )
    )  # fmt: skip
    command = [str(ORTHANC), str(folder / "orthanc.json")]
    address = f"http://{LOCAL}:{http}/system"
    with HTTPExecutor(command, address, method="GET", shell=False, timeout=40):
        yield dicom, http


def _uids(made: Manifest) -> set[str]:
    return {entry.sop_instance_uid for entry in made.instances}


def _in_orthanc(http: int) -> list[str]:
    with urllib.request.urlopen(f"http://{LOCAL}:{http}/instances?expand", timeout=20) as answer:
        return [each["MainDicomTags"]["SOPInstanceUID"] for each in json.load(answer)]


def _deliver(world: World, **wishes: Any) -> Manifest:
    made = world.release(**wishes)
    with world.forwarding() as forwarder:
        tick_until(
            forwarder,
            lambda: (
                bool(world.deliveries())
                and world.delivery().state in (S.DELIVERED, S.REFUSED, S.COMMITTED)
            ),
        )
    assert world.delivery().state in (S.DELIVERED, S.COMMITTED), world.delivery().last_answer
    return made


def test_storescp_gets_a_study(tmp_path: Path) -> None:
    """DCMTK writes what it got: each instance once, in its syntax, with its values."""
    with storescp(tmp_path / "sink", "+B") as port:
        world = make_world(tmp_path / "world", [dicom_destination(port, associations=2)])
        made = _deliver(world, instances=20)
    found = [dcmread(path) for path in (tmp_path / "sink").iterdir()]
    assert len(found) == 20
    assert {each.SOPInstanceUID for each in found} == _uids(made)


def test_storescp_over_tls_gets_a_study(tmp_path: Path, papers: Papers) -> None:
    """Both sides show a certificate of the same authority."""
    certificate, key = papers.server
    options = ["+tls", str(key), str(certificate), "+cf", str(papers.ca), "-rc"]
    with storescp(tmp_path / "sink", *options) as port:
        tls = {"ca": papers.ca, "certificate": papers.client[0], "private_key": papers.client[1]}
        world = make_world(tmp_path / "world", [dicom_destination(port, tls=tls)])
        _deliver(world, instances=5)
    assert len(list((tmp_path / "sink").iterdir())) == 5


def test_a_certificate_of_another_authority_gets_nothing(tmp_path: Path, papers: Papers) -> None:
    """Whoever took the destination's address has not taken its certificate."""
    certificate, key = papers.stranger
    options = ["+tls", str(key), str(certificate), "+cf", str(papers.ca), "-rc"]
    with storescp(tmp_path / "sink", *options) as port:
        tls = {"ca": papers.ca, "certificate": papers.client[0], "private_key": papers.client[1]}
        world = make_world(tmp_path / "world", [dicom_destination(port, tls=tls)])
        world.release()
        with world.forwarding() as forwarder:
            tick_until(
                forwarder,
                lambda: bool(world.deliveries()) and world.delivery().state is S.DEFERRED,
            )
    assert "TLS" in world.delivery().last_answer
    assert list((tmp_path / "sink").iterdir()) == []


@dataclass(frozen=True, slots=True)
class RunningOrthanc:
    """An Orthanc for several tests; `our_port` is where it takes `forward` to listen."""

    dicom: int
    http: int
    our_port: int


@pytest.fixture(scope="module")
def shared_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOrthanc]:
    """Run one Orthanc for the tests that do not mind what it holds already."""
    our_port = free_port()
    settings = {
        "DicomModalities": {"node": ["DEIDNODE", LOCAL, our_port]},
        "Plugins": [str(ORTHANC_DICOMWEB)] if ORTHANC_DICOMWEB else [],
    }
    with orthanc(tmp_path_factory.mktemp("orthanc"), **settings) as (dicom, http):
        yield RunningOrthanc(dicom, http, our_port)


def test_orthanc_gets_a_study_and_gets_it_again(
    tmp_path: Path, shared_orthanc: RunningOrthanc
) -> None:
    """Orthanc keeps one copy of what is sent twice."""
    world = make_world(tmp_path, [dicom_destination(shared_orthanc.dicom, associations=2)])
    made = _deliver(world, study=1, instances=10)
    for path in tmp_path.glob("outbox/db/ledger*"):
        path.unlink()
    for path in world.outbox.receipts.iterdir():
        path.unlink()
    with world.forwarding(ledger_was_lost=True) as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    found = _in_orthanc(shared_orthanc.http)
    assert sorted(uid for uid in found if uid in _uids(made)) == sorted(_uids(made))


def test_orthanc_commits(tmp_path: Path, shared_orthanc: RunningOrthanc) -> None:
    """Orthanc reports on an association of its own, to forward's own port."""
    world = make_world(
        tmp_path, [dicom_destination(shared_orthanc.dicom, commitment=True)],
        host=LOCAL, port=shared_orthanc.our_port,
    )  # fmt: skip
    made = world.release(study=2, instances=4)
    with world.forwarding() as forwarder:
        tick_until(forwarder, lambda: bool(world.receipts()))
    assert world.delivery().state is S.COMMITTED
    assert world.delivery().committed == len(made.instances)


@pytest.mark.skipif(ORTHANC_DICOMWEB is None, reason="apt-get install orthanc-dicomweb")
def test_orthanc_gets_a_study_by_dicomweb(tmp_path: Path, shared_orthanc: RunningOrthanc) -> None:
    """STOW-RS to Orthanc's own plugin."""
    url = f"http://{LOCAL}:{shared_orthanc.http}/dicom-web"
    world = make_world(tmp_path, [{"type": "stow", "name": "web", "url": url}])
    made = _deliver(world, study=3, instances=4)
    assert _uids(made) <= set(_in_orthanc(shared_orthanc.http))


@pytest.mark.skipif(ORTHANC_DICOMWEB is None, reason="apt-get install orthanc-dicomweb")
def test_orthanc_tells_which_of_a_request_it_cannot_read(
    tmp_path: Path, shared_orthanc: RunningOrthanc
) -> None:
    """A file that is no image to Orthanc is refused in the end; the others of its request go."""
    url = f"http://{LOCAL}:{shared_orthanc.http}/dicom-web"
    world = make_world(tmp_path, [{"type": "stow", "name": "web", "url": url}])
    made = world.release(study=4, instances=4, spoilt=2)
    with world.forwarding() as forwarder:
        tick_until(
            forwarder,
            lambda: bool(world.deliveries()) and world.delivery().state is S.REFUSED,
        )
    assert (world.delivery().stored, world.delivery().refused) == (3, 1)
    assert "HTTP 400" in world.delivery().last_answer
    found = [uid for uid in _in_orthanc(shared_orthanc.http) if uid in _uids(made)]
    assert sorted(found) == sorted(_uids(made) - {made.instances[1].sop_instance_uid})


def test_orthanc_over_tls_gets_a_study(tmp_path: Path, papers: Papers) -> None:
    """Orthanc checks our certificate too."""
    settings = {
        "DicomTlsEnabled": True, "DicomTlsCertificate": str(papers.server[0]),
        "DicomTlsPrivateKey": str(papers.server[1]),
        "DicomTlsTrustedCertificates": str(papers.ca),
    }  # fmt: skip
    with orthanc(tmp_path / "orthanc", **settings) as (dicom, http):
        tls = {"ca": papers.ca, "certificate": papers.client[0], "private_key": papers.client[1]}
        world = make_world(tmp_path / "world", [dicom_destination(dicom, tls=tls)])
        made = _deliver(world, instances=3)
        assert set(_in_orthanc(http)) == _uids(made)


def test_a_folder_can_have_a_dicomdir(tmp_path: Path) -> None:
    """DCMTK's dcmmkdir takes every file under the name that it has."""
    files = tmp_path / "files"
    world = make_world(
        tmp_path / "world", [{"type": "folder", "name": "files", "path": str(files)}]
    )
    _deliver(world, instances=3)
    command = ["dcmmkdir", "+r", "+id", str(files), "+D", str(files / "DICOMDIR")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    directory = dcmread(files / "DICOMDIR")
    kinds = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert kinds.count("IMAGE") == 3
