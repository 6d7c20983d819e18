"""A configuration is right, or every one of its mistakes is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import ConfigError, DicomDestination, find_config, load_config

A_DESTINATION = """
[[destinations]]
name = "research"
type = "dicom"
ae_title = "RESEARCH"
host = "127.0.0.1"
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a configuration file."""
    path = tmp_path / "node.toml"
    path.write_text(text)
    return path


def mistakes_of(tmp_path: Path, text: str) -> dict[str, str]:
    """Load a wrong configuration and give path -> message."""
    with pytest.raises(ConfigError) as told:
        load_config(written(tmp_path, text))
    return {mistake.path: mistake.message for mistake in told.value.mistakes}


def test_every_mistake_is_told_at_once_with_its_path(tmp_path: Path) -> None:
    """A person mends the file once, not once per mistake."""
    told = mistakes_of(
        tmp_path,
        """
        [node]
        data_dri = "/somewhere"
        [receive]
        port = 99999
        ae_titles = ["THIS_TITLE_IS_TOO_LONG"]
        [[receive.peers]]
        ae_title = "CT1"
        networks = ["10.1.0.0/64"]
        [process]
        workers = "many"
        [[routes]]
        name = "first"
        destinations = ["elsewhere"]
        [[destinations]]
        name = "research"
        type = "carrier-pigeon"
        """,
    )
    assert set(told) == {
        "node.data_dri",
        "receive.port",
        "receive.ae_titles[0]",
        "receive.peers[0].networks[0]",
        "process.workers",
        "routes[0].destinations",
        "destinations[0]",
    }
    assert told["node.data_dri"] == "there is no such key"


def test_two_destinations_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    """A delivery is known by its destination's name, so a name is used once."""
    told = mistakes_of(tmp_path, A_DESTINATION + A_DESTINATION)
    assert "used 2 times" in told["destinations[].name"]


def test_a_transfer_syntax_that_is_no_uid_is_a_mistake(tmp_path: Path) -> None:
    """A name that is misspelt would hold every study that goes there."""
    told = mistakes_of(tmp_path, A_DESTINATION + 'syntaxes = ["1.2.840.10008.1.2.5", "RLE"]\n')
    (place,) = told
    assert "by its UID" in told[place]


def test_a_route_without_a_destination_is_a_mistake(tmp_path: Path) -> None:
    """A study that goes nowhere would wait for ever and nobody would know."""
    told = mistakes_of(tmp_path, A_DESTINATION + '[[routes]]\nname = "lost"\ndestinations = []\n')
    assert "needs a destination" in told["routes[0].destinations"]


@pytest.mark.parametrize("bound", ["tls_required = true", f'certificate_sha256 = "{"ab" * 32}"'])
def test_a_peer_that_can_never_be_taken_is_a_mistake(tmp_path: Path, bound: str) -> None:
    """Bound to TLS, and there is no TLS port."""
    peer = f'[[receive.peers]]\nae_title = "CT1"\n{bound}\n'
    assert "CT1" in mistakes_of(tmp_path, peer)["receive"]
    tls = 'certificate = "a.crt"\nprivate_key = "a.key"\nclient_ca = "ca.crt"\n'
    (taken,) = load_config(written(tmp_path, f"{peer}[receive.tls]\n{tls}")).receive.peers
    assert taken.is_bound_to_tls


@pytest.mark.parametrize("half", ['host = "10.1.0.5"', "port = 104"])
def test_half_an_address_of_a_peer_is_a_mistake(tmp_path: Path, half: str) -> None:
    """Commitment results would not go where somebody meant them to."""
    told = mistakes_of(
        tmp_path, f'[[receive.peers]]\nae_title = "CT1"\ncommitment = true\n{half}\n'
    )
    assert "go together" in told["receive.peers[0]"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A named file that is missing is never silently replaced by the defaults."""
    with pytest.raises(ConfigError) as told:
        load_config(tmp_path / "absent.toml")
    assert "cannot be read" in str(told.value.mistakes[0])


def test_a_file_that_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    """A stray character shows where it stands."""
    assert "line 1" in mistakes_of(tmp_path, "[node\n")[""]


def test_the_environment_goes_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any key outside the lists can be overridden by DEID_NODE_SECTION__KEY."""
    monkeypatch.setenv("DEID_NODE_RECEIVE__PORT", "10404")
    config = load_config(written(tmp_path, "[receive]\nport = 104\nhost = '127.0.0.1'\n"))
    assert (config.receive.port, config.receive.host) == (10404, "127.0.0.1")


def test_an_unknown_key_in_the_environment_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt variable does not pass for a setting."""
    monkeypatch.setenv("DEID_NODE_RECEIVE__PROT", "10404")
    assert "receive.prot" in mistakes_of(tmp_path, "")


def test_without_routes_and_destinations_the_node_runs_out_of_the_box(tmp_path: Path) -> None:
    """One route, profile basic, one folder under data_dir."""
    config = load_config(written(tmp_path, f'[node]\ndata_dir = "{tmp_path}"\n'))
    (route,) = config.effective_routes
    (destination,) = config.effective_destinations
    assert route.profile == "basic"
    assert route.destinations == (destination.name,)
    assert destination.type == "folder"
    assert destination.path == tmp_path / "delivered"


def test_the_file_is_sought_where_the_design_says(tmp_path: Path) -> None:
    """`-c` first, then $DEID_NODE_CONFIG."""
    assert find_config(tmp_path / "a.toml", {"DEID_NODE_CONFIG": "b.toml"}) == tmp_path / "a.toml"
    assert find_config(None, {"DEID_NODE_CONFIG": "b.toml"}) == Path("b.toml")


def test_a_relative_path_lies_beside_the_file(tmp_path: Path) -> None:
    """Not where the command happens to start: systemd starts in /."""
    config = load_config(
        written(
            tmp_path,
            '[node]\ndata_dir = "data"\n[web]\nusers = "web-users"\n[receive.tls]\n'
            'certificate = "tls/node.crt"\nprivate_key = "/elsewhere/node.key"\n'
            f'client_ca = "tls/peers.crt"\n{A_DESTINATION}tls = {{ ca = "tls/pacs.crt" }}\n',
        )
    )
    (pacs,) = config.destinations
    assert isinstance(pacs, DicomDestination)
    assert config.receive.tls
    assert pacs.tls
    assert config.node.data_dir == tmp_path / "data"
    assert config.web.users == tmp_path / "web-users"
    assert config.receive.tls.certificate == tmp_path / "tls" / "node.crt"
    assert pacs.tls.ca == tmp_path / "tls" / "pacs.crt"
    assert config.receive.tls.private_key == Path("/elsewhere/node.key")
    assert config.folder == tmp_path
