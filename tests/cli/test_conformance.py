"""The conformance statement says what the code and the configuration do."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from node.cli import deid_node
from node.upper_layer import Rejection, Status
from node.upper_layer.names import TRANSFER_SYNTAXES, storage_sop_classes
from tests.web.filled import node_folder

ROOT = Path(__file__).parents[2]


def statement(config: Path) -> str:
    """Run the verb."""
    done = CliRunner().invoke(deid_node, ["conformance", "-c", str(config)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_statement_in_docs_is_that_of_the_default_configuration() -> None:
    """Made by `deid-node conformance -c config/node.toml`; it cannot drift."""
    written = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert written == statement(ROOT / "config" / "node.toml")


def test_it_names_every_sop_class_and_transfer_syntax() -> None:
    """From the tables that negotiation runs on."""
    told = statement(ROOT / "config" / "node.toml")
    for uid in (*storage_sop_classes(), *TRANSFER_SYNTAXES):
        assert f"| {uid} |" in told
        assert f"| {uid} | {uid} |" not in told, "it has a name"


def test_it_follows_the_configuration(tmp_path: Path) -> None:
    """Peers, destinations and profiles are those of this node."""
    node_folder(
        tmp_path,
        '[receive]\nae_titles = ["GATEWAY"]\n[[receive.peers]]\nae_title = "CT7"\n'
        'commitment = true\nhost = "10.0.0.7"\nport = 104\n',
    )
    told = statement(tmp_path / "node.toml")
    assert "| AE titles | GATEWAY |" in told
    assert "| Calling AE titles | CT7 |" in told
    assert "| Storage Commitment Push Model | no (no destination asks for it) | yes |" in told
    assert "#### Storage commitment" in told
    assert "| research | DICOM | RESEARCH | DEIDNODE |" in told


def test_it_says_that_the_node_is_no_archive_and_how_long_it_keeps(tmp_path: Path) -> None:
    """Whatever is committed to is committed to for so long."""
    node_folder(tmp_path, "[retention]\noriginals_days = 7\n")
    told = statement(tmp_path / "node.toml")
    assert "The node is no archive. What was received is purged 7 days after" in told
    assert "#### Storage commitment" not in told
    (tmp_path / "never").mkdir()
    node_folder(tmp_path / "never", "[retention]\noriginals_days = 0\n")
    assert "is not purged by itself" in statement(tmp_path / "never" / "node.toml")


def test_it_names_every_rejection_and_status_that_receive_answers() -> None:
    """From the code's own tables; a new one must be stated."""
    told = statement(ROOT / "config" / "node.toml")
    for rejection in Rejection:
        assert "| {}, {}, {} (".format(*rejection.value) in told
    for status in (
        Status.SUCCESS, Status.OUT_OF_RESOURCES, Status.DATASET_DOES_NOT_MATCH,
        Status.CANNOT_UNDERSTAND, Status.SOP_CLASS_NOT_SUPPORTED, Status.UNRECOGNISED_OPERATION,
    ):  # fmt: skip
        assert f"| {status:04X} |" in told
