"""The conformance statement says what the code and the configuration do."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from node.cli import deid_node
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
    assert "| research | DICOM | RESEARCH | DEIDNODE |" in told
