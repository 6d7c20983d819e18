"""From the wire to the research PACS, with the real command (the main job)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pydicom
import pytest

from tests.acceptance.running_node import running_node
from tests.factories import identifiers, make_instance
from tests.peers import research_pacs, send

pytestmark = pytest.mark.acceptance


def test_studies_come_out_proven_and_one_that_must_wait_waits(tmp_path: Path) -> None:
    """Two studies arrive de-identified; a burned-in secondary capture is held for a person."""
    ct = [make_instance(patient=1, study=1, instance=n) for n in range(1, 41)]
    mr = [make_instance(patient=2, study=1, instance=n, modality="MR") for n in range(1, 11)]
    capture = make_instance(patient=3, study=1, modality="OT")
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        assert set(send([*ct, *mr, capture], node.port)) == {0x0000}
        status = node.wait_settled(received=51)

        assert status["conservation"] == {
            "received": 51, "released": 50, "held": 1, "quarantined": 0, "duplicate": 0,
            "excluded": 0, "rejected": 0, "pending": 0,
        }  # fmt: skip
        assert set(status["workers"]) == {"totalWorkers", "activeJobs", "queuedJobs"}
        assert status["workers"]["totalWorkers"] <= min(os.cpu_count() or 1, 8)

        assert len(pacs.received) == len(set(pacs.received)) == 50
        leaving = pacs.content()
        for patient in (1, 2, 3):
            for value in identifiers(patient):
                assert value.encode() not in leaving

        (held,) = (study for study in status["studies"] if study["state"] == "HELD")
        shown = node.cli("held", "show", held["study"])
        assert shown.returncode == 0
        assert "burned" in shown.stdout.lower()
        assert "Quillfeather" not in node.log()

        assert node.stop() == 0


def test_a_sender_that_waits_for_its_answer_goes_first(tmp_path: Path) -> None:
    """`receive` is as nice as who started it, `process` nicer."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        nice = {role: _niceness(node.role_pid(role)) for role in ("receive", "process", "forward")}
    assert nice["receive"] == nice["forward"] == ours
    assert nice["process"] == max(ours, 5)


def _niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def test_released_files_are_marked_and_fit_together(tmp_path: Path) -> None:
    """PS3.15 E.1.1: markers are set; one patient stays one patient, one study one study."""
    images = [make_instance(instance=n) for n in range(1, 5)]
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        send(images, node.port)
        node.wait_settled(received=4)
        out = pacs.datasets()
    assert {d.PatientIdentityRemoved for d in out} == {"YES"}
    assert {d.LongitudinalTemporalInformationModified for d in out} == {"REMOVED"}
    assert all("deid-node" in str(d.DeidentificationMethod) for d in out)
    assert {d.DeidentificationMethodCodeSequence[0].CodeValue for d in out} == {"113100"}
    assert len({d.PatientID for d in out}) == len({d.StudyInstanceUID for d in out}) == 1
    assert len({d.SOPInstanceUID for d in out}) == 4
    by_number = {int(d.InstanceNumber): d for d in out}
    for image in images:
        assert by_number[int(image.InstanceNumber)].PixelData == image.PixelData


def test_originals_and_released_files_live_apart(tmp_path: Path) -> None:
    """The inbox keeps what was received byte for byte; the outbox holds no identifier."""
    image = make_instance()
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        send([image], node.port)
        node.wait_settled(received=1)
        (original,) = (node.data / "inbox" / "studies").rglob("*.dcm")
        kept = pydicom.dcmread(original)
        assert kept.PatientName == image.PatientName
        assert kept.file_meta.SendingApplicationEntityTitle == "CT1"
        assert kept.file_meta.ReceivingApplicationEntityTitle == "DEIDNODE"
        for path in (node.data / "outbox").rglob("*"):
            assert not any(value in path.name for value in identifiers())
            if path.is_file():
                content = path.read_bytes()
                assert not any(value.encode() in content for value in identifiers()), path.name
        (manifest,) = (node.data / "outbox" / "releases").glob("*/manifest.json")
        assert json.loads(manifest.read_text())


def test_a_late_image_follows_in_a_generation_of_its_own(tmp_path: Path) -> None:
    """Only the new instance goes out, into the same pseudonymous study; a resend makes nothing."""
    first = [make_instance(instance=n) for n in (1, 2)]
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        send(first, node.port)
        node.wait_settled(received=2)
        send([make_instance(instance=3), first[0]], node.port)
        status = node.wait_settled(received=4)
        assert status["conservation"]["released"] == 3
        assert status["conservation"]["duplicate"] == 1
        assert len(pacs.received) == 3
        assert len({d.StudyInstanceUID for d in pacs.datasets()}) == 1


def test_a_released_file_that_was_changed_is_never_sent(tmp_path: Path) -> None:
    """The forwarder sends exactly the bytes that the validator passed, or nothing."""
    with research_pacs(tmp_path / "pacs") as pacs:
        unreachable = pacs.port
    with running_node(tmp_path, unreachable) as node:
        send([make_instance()], node.port)
        node.wait_until(lambda status: status["conservation"]["released"] == 1, "release")
        (file,) = (node.data / "outbox" / "releases").rglob("*.dcm")
        file.chmod(0o640)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        with research_pacs(tmp_path / "pacs", unreachable) as pacs:
            node.wait_until(lambda status: status["destinations"][0]["refused"] > 0, "refusal")
            assert pacs.received == []
        (delivery,) = json.loads(node.cli("delivery", "list", "--json").stdout)
        assert delivery["state"] == "REFUSED"
