"""The disk is gone: a backup, made while the node worked, becomes the node again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.acceptance.running_node import RunningNode, running_node
from tests.factories import make_instance
from tests.peers import ResearchPacs, research_pacs, send

pytestmark = pytest.mark.acceptance


def study_of(patient: int, instances: int, modality: str = "CT") -> list:
    """Build one patient's study."""
    return [
        make_instance(patient=patient, instance=n + 1, modality=modality) for n in range(instances)
    ]


def versions(pacs: ResearchPacs) -> dict[str, str]:
    """Tell what the research PACS holds: the digest of each instance by its UID."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pacs.folder.glob("*.dcm")
    }


def held(node: RunningNode) -> list[str]:
    """Give the held studies' ids, the oldest first."""
    studies = node.status()["studies"]
    return [study["study"] for study in reversed(studies) if study["state"] == "HELD"]


def test_a_backup_of_a_working_node_becomes_the_node_again(tmp_path: Path) -> None:
    """As docs/operations.md says: the keys, `backup`, and back by `cp -a` into an empty folder.

    Nothing goes out in another version than before, what waited for a person waits, what was
    rejected stays so, and new studies flow.
    """
    delivered, captures = study_of(1, 8), [study_of(patient, 1, "OT") for patient in (2, 3)]
    unsent, under_way, after = study_of(4, 3), study_of(5, 60), study_of(6, 4)
    keys, backup = tmp_path / "safe" / "keys", tmp_path / "safe" / "monday"
    with research_pacs(tmp_path / "pacs") as pacs:
        with running_node(tmp_path, pacs.port) as node:
            send([*delivered, *captures[0], *captures[1]], node.port)
            send(delivered[:2], node.port)  # the same again: duplicates
            node.wait_settled(received=12)
            assert node.cli("held", "reject", held(node)[1]).returncode == 0
            assert node.cli("destination", "pause", "research").returncode == 0
            send(unsent, node.port)
            node.wait_until(lambda now: now["conservation"]["released"] == 11, "a release")
            sending = threading.Thread(target=send, args=(under_way, node.port))
            sending.start()
            node.wait_until(lambda now: now["conservation"]["received"] > 20, "traffic")

            shutil.copytree(node.data / "keys", keys)
            done = node.cli("backup", str(backup))
            assert done.returncode == 0, done.stdout + done.stderr

            sending.join()
            assert node.cli("destination", "resume", "research").returncode == 0
            send(after, node.port)
            node.wait_settled(received=12 + 3 + 60 + 4)
            before = versions(pacs)
            node.kill_tree()

        assert "Quillfeather" not in node.log()
        shutil.rmtree(node.data)
        node.data.mkdir()
        subprocess.run(["cp", "-a", f"{backup}/.", str(node.data)], check=True)
        shutil.copytree(keys, node.data / "keys")

        with running_node(tmp_path, pacs.port) as node:
            assert len(held(node)) == 1
            assert node.cli("destination", "resume", "research").returncode == 0
            send([*under_way, *after], node.port)
            node.wait_until(lambda now: now["conservation"]["released"] == 75, "all anew")
            status = node.wait_until(lambda now: not now["conservation"]["pending"], "rest")
            counts = status["conservation"]
            assert counts["received"] == sum(counts.values()) - counts["received"]
            assert (counts["held"], counts["rejected"]) == (1, 1)
            node.wait_settled(received=counts["received"])
            assert versions(pacs) == before

            release = ("held", "release", held(node)[0], "--override", "--reason", "looked at")
            assert node.cli(*release).returncode == 0
            send(study_of(7, 2), node.port)
            node.wait_settled(received=counts["received"] + 2)
            assert {uid: was for uid, was in versions(pacs).items() if uid in before} == before
            assert len(versions(pacs)) == len(before) + 3
            verified = node.cli("verify")
            assert verified.returncode == 0, verified.stdout
