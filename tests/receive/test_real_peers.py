"""DCMTK and pynetdicom as they come, sending to us."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trustme
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context

from tests.factories import make_instance, write_instance
from tests.ports import free_port
from tests.receive.receiving import receiving, wait_until

pytestmark = pytest.mark.peer

COUNT = 12


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Give a folder with a small study in it."""
    for number in range(COUNT):
        instance = make_instance(instance=number + 1, rows=200)
        write_instance(tmp_path / "study" / f"{number}.dcm", instance)
    return tmp_path / "study"


def send_by_pynetdicom(datasets: list[Dataset], port: int) -> list[int]:
    """Send on one association of stock pynetdicom and give each one's status."""
    entity = AE(ae_title="CT1")
    pairs = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}
    entity.requested_contexts = [build_context(sop_class, ts) for sop_class, ts in sorted(pairs)]
    association = entity.associate("127.0.0.1", port, ae_title="DEIDNODE")
    assert association.is_established
    try:
        return [int(association.send_c_store(dataset).get("Status", -1)) for dataset in datasets]
    finally:
        association.release()


def run(*command: str | Path) -> None:
    """Run a program of DCMTK; it must succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_echoscu_is_answered(tmp_path: Path) -> None:
    """Verification, with a maximum PDU of its own."""
    with receiving(tmp_path) as node:
        run("echoscu", "-pdu", "4096", "127.0.0.1", str(node.port))


@pytest.mark.parametrize(
    "sender",
    [
        ("storescu", "+sd"),
        ("storescu", "-xi", "+sd"),
        ("storescu", "+sd", "--max-send-pdu", "4096"),
        ("dcmsend", "--scan-directories"),
        ("dcmsend", "--scan-directories", "--max-send-pdu", "131072"),
    ],
    ids=" ".join,
)
def test_dcmtk_sends_a_study(tmp_path: Path, study: Path, sender: tuple[str, ...]) -> None:
    """Every instance arrives, and the spool is empty afterwards."""
    with receiving(tmp_path) as node:
        run(*sender, "127.0.0.1", str(node.port), study)
        assert len(node.arrived) == COUNT
        assert wait_until(lambda: not node.spooled)


def test_storescu_that_aborts_leaves_nothing_half(tmp_path: Path, study: Path) -> None:
    """A-ABORT instead of A-RELEASE: what was answered stays."""
    with receiving(tmp_path) as node:
        run("storescu", "--abort", "+sd", "127.0.0.1", str(node.port), study)
        assert len(node.arrived) == COUNT
        assert wait_until(lambda: not node.spooled)


def test_pynetdicom_sends_a_study(tmp_path: Path) -> None:
    """With its stock SCU."""
    instances = [make_instance(instance=number + 1) for number in range(COUNT)]
    with receiving(tmp_path) as node:
        assert send_by_pynetdicom(instances, node.port) == [0] * COUNT
        assert len(node.arrived) == COUNT


def test_dcmtk_sends_over_tls(tmp_path: Path, study: Path) -> None:
    """With the BCP 195 profile and a client certificate of our authority."""
    authority = trustme.CA()
    files = {}
    for name in ("node", "peer"):
        certificate = authority.issue_cert("localhost")
        files[name] = (tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(str(files[name][0]))
        certificate.private_key_pem.write_to_path(str(files[name][1]))
    ca = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(ca))
    port = free_port()
    tls = {
        "port": port,
        "certificate": files["node"][0],
        "private_key": files["node"][1],
        "client_ca": ca,
    }
    peers = ({"ae_title": "STORESCU", "tls_required": True},)
    key, certificate_file = files["peer"][1], files["peer"][0]
    secure = ("+tls", key, certificate_file, "+cf", ca, "+px")
    with receiving(tmp_path, tls=tls, peers=peers) as node:
        run("storescu", *secure, "+sd", "localhost", str(port), study)
        assert len(node.arrived) == COUNT
        with pytest.raises(AssertionError, match="Rejected"):
            run("storescu", "+sd", "localhost", str(node.port), study)
