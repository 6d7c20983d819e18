"""Odd and broken files through the running node: nothing crashes, nothing vanishes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest

from node.upper_layer import Proposal, UpperLayerError, open_association
from tests.acceptance.running_node import RunningNode, running_node
from tests.conftest import BUNDLED
from tests.peers import research_pacs

pytestmark = [pytest.mark.acceptance, pytest.mark.filterwarnings("ignore::UserWarning")]


def store_as_is(path: Path, port: int) -> int | None:
    """C-STORE a file's dataset bytes as they are; None where its meta names no class or syntax."""
    try:
        file = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        sop_class = str(file.file_meta.MediaStorageSOPClassUID)
        instance = str(file.file_meta.MediaStorageSOPInstanceUID)
        syntax = str(file.file_meta.TransferSyntaxUID)
        start = 144 + file.file_meta.FileMetaInformationGroupLength
    except Exception:  # noqa: BLE001 -- broken on purpose: pydicom fails on some in any way
        return None
    content = path.read_bytes()[start:]
    if not content:
        return None
    try:
        with open_association(
            "127.0.0.1", port, "CT1", "DEIDNODE", [Proposal(1, sop_class, (syntax,))]
        ) as association:
            if not association.contexts:
                return None
            (context_id,) = association.contexts
            return association.send_store(
                context_id, 1, sop_class, instance, [content], len(content)
            )
    except UpperLayerError:
        return None


def send_all(files: Iterable[Path], node: RunningNode) -> int:
    """Send every file on an association of its own and count the receipts."""
    return sum(store_as_is(path, node.port) == 0x0000 for path in files)


def assert_all_accounted_for(files: list[Path], tmp_path: Path) -> None:
    """Each acknowledged file ends in a named state, and the counts balance."""
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        acknowledged = send_all(files, node)
        assert acknowledged > len(files) * 0.5
        count = node.wait_settled(received=acknowledged)["conservation"]
        ends = ("released", "held", "quarantined", "duplicate", "excluded", "rejected")
        assert sum(count[end] for end in ends) == acknowledged
        assert len(set(pacs.received)) == count["released"] > 0
        assert not node.events("role_died")


def test_the_files_that_pydicom_bundles(tmp_path: Path) -> None:
    """Odd character sets, private sequences, truncated files: each ends somewhere with a name."""
    assert_all_accounted_for(sorted(BUNDLED.glob("*.dcm")), tmp_path)


@pytest.mark.corpus
def test_the_corpora(tmp_path: Path, corpus: Path) -> None:
    """Every real and planted file."""
    files = [path for path in sorted(corpus.rglob("*")) if path.is_file()]
    assert_all_accounted_for(
        [path for path in files if path.suffix not in (".csv", ".json", ".md")], tmp_path
    )
