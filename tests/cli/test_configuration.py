"""Configuration mistakes, keys, and how a role that fails ends."""

from __future__ import annotations

import logging as stdlib_logging
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import structlog
from click.testing import CliRunner

from node import observe
from node.cli import COMMANDS, deid_node
from node.cli.roles import _guarded
from node.config import NodeConfig
from tests.web.filled import filled_node, node_folder


@pytest.fixture(name="logging")
def _logging() -> Iterator[None]:
    """Log as a role does, and afterwards as before."""
    observe.set_up_logging("json", "info", "receive")
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    stdlib_logging.disable(stdlib_logging.NOTSET)


def check(folder: Path, text: str) -> str:
    """Give what `config check` says of a node.toml with mistakes."""
    file = folder / "node.toml"
    file.write_text(text)
    done = CliRunner().invoke(deid_node, ["config", "check", "-c", str(file)])
    assert done.exit_code == 2
    return done.stderr


def test_mistakes_of_every_kind_are_told_at_once(tmp_path: Path) -> None:
    """Unknown key, wrong type, bad port, profile, destination, files: one run tells them all."""
    told = check(
        tmp_path,
        """
        [node]
        colour = "red"
        [receive]
        port = 70000
        [receive.tls]
        certificate = "no.crt"
        private_key = "no.key"
        client_ca = "no.ca"
        [process]
        workers = "many"
        [[routes]]
        name = "r"
        profile = "no-such-profile"
        destinations = ["nowhere"]
        patients_allow = "no.csv"
        [[destinations]]
        name = "a"
        type = "folder"
        path = "x"
        [[destinations]]
        name = "a"
        type = "stow"
        url = "https://pacs.example"
        credential = "no.token"
        tls = { ca = "no.pem" }
        """,
    )
    for place in (
        "node.colour", "receive.port", "receive.tls.certificate", "receive.tls.private_key",
        "receive.tls.client_ca", "process.workers", "routes[0].profile", "routes[0].destinations",
        "routes[0].patients_allow", "destinations[].name", "destinations[1].credential",
        "destinations[1].tls.ca",
    ):  # fmt: skip
        assert place in told


def test_a_mistake_inside_a_profile_is_told_with_its_place(tmp_path: Path) -> None:
    """The profile lies beside the configuration."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "ours.toml").write_text('options = ["clean-pixel-data"]\n')
    told = check(
        tmp_path, '[[routes]]\nname = "r"\nprofile = "ours"\ndestinations = ["delivered"]\n'
    )
    assert "routes[0].profile" in told
    assert "clean-pixel-data" in told


def test_files_are_sought_beside_the_configuration_among_other_mistakes_too(tmp_path: Path) -> None:
    """A mistake elsewhere does not make a file that is there a missing one."""
    (tmp_path / "deny.csv").write_text("issuer,patient_id\n")
    told = check(
        tmp_path,
        '[node]\ncolour = "red"\n[[routes]]\nname = "r"\ndestinations = ["delivered"]\n'
        'patients_deny = "deny.csv"\npatients_allow = "allow.csv"\n',
    )
    assert f"routes[0].patients_allow: there is no file {tmp_path}/allow.csv" in told
    assert "patients_deny" not in told


def test_a_destination_that_needs_what_is_not_installed_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by `config check`, not by the first delivery at night."""
    monkeypatch.setitem(sys.modules, "dicomweb_client", None)
    told = check(
        tmp_path, '[[destinations]]\nname = "d"\ntype = "stow"\nurl = "https://pacs.example"\n'
    )
    assert "destinations[0].type: STOW needs" in told


def test_the_default_configuration_has_no_mistake() -> None:
    """A node runs out of the box."""
    shipped = Path(__file__).parents[2] / "config" / "node.toml"
    done = CliRunner().invoke(deid_node, ["config", "check", "-c", str(shipped)])
    assert done.exit_code == 0, done.stderr


def test_keygen_makes_a_key_once(tmp_path: Path) -> None:
    """0600, never overwritten, and never printed."""
    config = node_folder(tmp_path)
    command = ["keygen", "-c", str(tmp_path / "node.toml")]
    done = CliRunner().invoke(deid_node, command)
    key = config.keys_dir / "pseudonym.key"
    assert done.exit_code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().hex() not in done.output
    content = key.read_bytes()
    again = CliRunner().invoke(deid_node, command)
    assert again.exit_code == 1
    assert key.read_bytes() == content


def test_keygen_makes_no_new_key_for_a_node_that_has_worked(tmp_path: Path) -> None:
    """Its patients would get other pseudonyms."""
    config = filled_node(tmp_path, 1)
    done = CliRunner().invoke(deid_node, ["keygen", "-c", str(tmp_path / "node.toml")])
    assert done.exit_code == 1
    assert not (config.keys_dir / "pseudonym.key").exists()


def test_every_verb_loads_and_explains_itself() -> None:
    """`--help` of each is there, and `deid-node --help` names it."""
    overview = CliRunner().invoke(deid_node, ["--help"]).output
    for verb in COMMANDS:
        assert f"  {verb} " in overview
        done = CliRunner().invoke(deid_node, [verb, "--help"])
        assert done.exit_code == 0, verb


@pytest.mark.usefixtures("logging")
def test_a_role_that_fails_says_so_in_one_line_without_a_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text of an unforeseen error may hold a patient's name; its type and place do not."""

    def run(_config: NodeConfig) -> int:
        raise ValueError("Quillfeather^Zebedee")

    role = ModuleType("node.receive.role")
    role.run = run  # type: ignore[attr-defined] -- it plays a role
    monkeypatch.setitem(sys.modules, "node.receive.role", role)
    assert _guarded("receive", NodeConfig()) == 1
    printed = capsys.readouterr()
    assert "ValueError" in printed.err
    assert "Quillfeather" not in printed.err + printed.out
