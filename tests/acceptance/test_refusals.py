"""Bad input gets a clear answer before anything starts, or the DICOM answer for it."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from node.upper_layer import AssociationRejected
from tests.acceptance.running_node import COMMAND, running_node, write_config
from tests.factories import make_instance
from tests.peers import research_pacs, send
from tests.ports import free_port

pytestmark = pytest.mark.acceptance


def run_node(config: Path) -> subprocess.CompletedProcess[str]:
    """Start `deid-node run` where it must not start."""
    return subprocess.run(
        [*COMMAND, "run", "-c", str(config)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_wrong_configuration_is_told_whole_and_nothing_starts(tmp_path: Path) -> None:
    """Every mistake at once, each with its path; exit 2; no folder was made."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{tmp_path / "data"}"\nname = "x"\n[receive]\nport = "none"\n'
        '[[routes]]\nname = "r"\nprofile = "no-such-profile"\ndestinations = ["nowhere"]\n'
    )
    done = run_node(config)
    assert done.returncode == 2
    for place in ("node.name", "receive.port", "routes[0].destinations", "routes[0].profile"):
        assert place in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """Exit 1 and a line that names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_node(write_config(tmp_path, 104, port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_dir_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    """Exit 1 and a line that names the folder."""
    (tmp_path / "data").write_text("a file stands where the folder should be")
    done = run_node(write_config(tmp_path, 104, free_port()))
    assert done.returncode == 1
    assert "data" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_node_on_one_data_dir_does_not_start(tmp_path: Path) -> None:
    """Two nodes would each believe that they own the folders."""
    with research_pacs(tmp_path / "pacs") as pacs, running_node(tmp_path, pacs.port) as node:
        other = tmp_path / "other"
        other.mkdir()
        config = write_config(other, pacs.port, free_port())
        config.write_text(config.read_text().replace(str(other / "data"), str(node.data)))
        done = run_node(config)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert send([make_instance()], node.port) == [0x0000]


def test_a_called_ae_title_that_is_not_ours_is_rejected_where_required(tmp_path: Path) -> None:
    """The DICOM answer is a rejection; the log says so; no file is left."""
    required = {"[receive]": "[receive]\nrequire_called_ae_title = true"}
    with (
        research_pacs(tmp_path / "pacs") as pacs,
        running_node(tmp_path, pacs.port, changed=required) as node,
    ):
        with pytest.raises(AssociationRejected):
            send([make_instance()], node.port, called="STRANGER")
        assert node.events("association_rejected")
        assert send([make_instance()], node.port) == [0x0000]
        assert len(node.wait_settled(received=1)["studies"]) == 1
