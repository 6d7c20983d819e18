"""`verify` notices, `find` answers and is audited, `echo` tells whether a destination is there."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from node import audit
from node.cli import deid_node
from node.disk import lock_file
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.releases import know_releases
from node.inbox.tables import generation
from node.outbox.layout import Outbox
from node.process.repairing import known_releases
from node.profile.key import create_key
from tests.cli.conftest import Node
from tests.factories import make_instance, write_instance
from tests.outbox import releases
from tests.peers import research_pacs
from tests.ports import free_port
from tests.web.filled import INSTANCES, node_folder, study_id

MakeNode = Callable[[int], Node]


@pytest.fixture(name="sound")
def _sound(node: MakeNode) -> Node:
    """Give a node of two studies whose originals lie where they should."""
    made = node(2)
    inbox = Inbox(made.config.inbox_dir)
    for number in range(2):
        (inbox.studies / study_id(number)).mkdir()
        for i in range(INSTANCES):
            (inbox.studies / study_id(number) / f"assoc{number:05d}-{i + 1:06d}.dcm").write_bytes(
                bytes(1000)
            )
    outbox, key = releases.make_outbox(made.config.node.data_dir)
    for number in (1, 2):
        releases.make_release(outbox, key, study=number)
    index = open_index(inbox.database)
    with index.begin() as conn:  # releases of studies whose originals are gone, and no others
        conn.execute(update(generation).values(released_at=None))
        know_releases(conn, known_releases(outbox))
    index.dispose()
    audit.append(inbox.audit / "people.jsonl", "ada", "find", "2026-01-02T03:04:05+00:00")
    return made


def test_a_sound_node_has_no_problem(sound: Node) -> None:
    """Exit 0."""
    done = sound.cli("verify")
    assert done.exit_code == 0, done.output
    assert "as it was written" in done.output


def _lose_an_original(node: Node) -> str:
    (Inbox(node.config.inbox_dir).studies / study_id(0) / "assoc00000-000001.dcm").unlink()
    return "is missing"


def _find_a_stranger(node: Node) -> str:
    (Inbox(node.config.inbox_dir).studies / study_id(0) / "stranger00-000001.dcm").touch()
    return "has no row"


def _forge_the_trail(node: Node) -> str:
    path = Inbox(node.config.inbox_dir).audit / "people.jsonl"
    path.write_text(path.read_text().replace('"previous": "0', '"previous": "1'))
    return "audit trail people.jsonl line 1"


def _alter_a_released_file(node: Node) -> str:
    path = next(Outbox(node.config.outbox_dir).releases.glob("*/*.dcm"))
    path.chmod(0o640)
    path.write_bytes(path.read_bytes() + b"\0")
    return "is not the file that was released"


def _lose_a_released_file(node: Node) -> str:
    next(Outbox(node.config.outbox_dir).releases.glob("*/*.dcm")).unlink()
    return "is missing"


def _lose_a_release(node: Node) -> str:
    shutil.rmtree(Outbox(node.config.outbox_dir).releases / "study001-g1")
    return "the release before it is missing"


@pytest.mark.parametrize(
    "harm",
    [
        _lose_an_original, _find_a_stranger, _forge_the_trail, _alter_a_released_file,
        _lose_a_released_file, _lose_a_release,
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_written_is_told(sound: Node, harm: Callable[[Node], str]) -> None:
    """Exit 1 and a line that says what and where."""
    told = harm(sound)
    done = sound.cli("verify")
    assert done.exit_code == 1
    assert told in done.output


def test_repair_waits_until_process_rests(sound: Node) -> None:
    """Two writers of one index would be one too many."""
    lock = lock_file(Inbox(sound.config.inbox_dir).locks / "process.lock")
    done = sound.cli("verify", "--repair")
    os.close(lock)
    assert done.exit_code == 1
    assert "stop it first" in done.stderr


def test_repair_needs_the_key(sound: Node) -> None:
    """Without it nobody can tell which study a file belongs to; exit 2."""
    done = sound.cli("verify", "--repair")
    assert done.exit_code == 2
    assert "pseudonym.key" in done.stderr


def test_repair_gives_a_file_its_row_again(sound: Node) -> None:
    """And holds its study, whose outcome nobody knows any more; audited."""
    sound.config.keys_dir.mkdir(parents=True, exist_ok=True)
    create_key(sound.config.keys_dir / "pseudonym.key")
    for release in Outbox(sound.config.outbox_dir).releases.iterdir():
        shutil.rmtree(release)  # these were made with another key, which the repair would refuse
    lost = Inbox(sound.config.inbox_dir).studies / "lost0000"
    for number in (1, 2):
        write_instance(lost / f"stranger00-00000{number}.dcm", make_instance(7, instance=number))
    done = sound.cli("verify", "--repair")
    assert "repaired: lost0000: 2 originals with a row again; the study is held\n" in done.stderr
    rows = {row["study"]: row["state"] for row in sound.json("studies")}
    assert rows["lost0000"] == "HELD"
    (*_, last) = audit.read(Inbox(sound.config.inbox_dir).audit / "people.jsonl")
    assert last.what == "repaired"


def test_what_was_repaired_is_told_in_few_lines(
    sound: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is lost has a line for each study, and a screen has not; all is audited."""
    monkeypatch.setattr("node.cli.verifying.rebuild", lambda _: [f"line {n}" for n in range(1000)])
    told = sound.cli("verify", "--repair").stderr.splitlines()
    repaired = [line for line in told if line.startswith("repaired: ")]
    assert repaired[0] == "repaired: line 0"
    assert repaired[-1] == "repaired: and 980 more like these"
    assert len(repaired) == 21
    (*_, last) = audit.read(Inbox(sound.config.inbox_dir).audit / "people.jsonl")
    assert dict(last.facts)["lines"] == 1000


def ask(node: Node, question: str) -> tuple[int, str]:
    """Run `find` with a question on stdin."""
    done = CliRunner().invoke(deid_node, ["find", "-c", str(node.file)], input=question)
    return done.exit_code, done.stdout


@pytest.mark.parametrize("question", ["1.2.3.1.0\n", "  1.2.3.1.3  \n"])
def test_a_study_is_found_by_what_people_know(node: MakeNode, question: str) -> None:
    """By UID; one study, by its id."""
    assert ask(node(3), question) == (0, f"{study_id(1)}\n")


def test_a_patient_s_studies_are_found(node: MakeNode) -> None:
    """By Patient ID: all of them."""
    code, told = ask(node(3), "MRN000001\n")
    assert (code, told.split()) == (0, [study_id(number) for number in range(3)])


def test_asking_is_audited_and_the_question_is_not_written(
    node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked and what was found."""
    monkeypatch.setenv("SUDO_USER", "ada")
    made = node(1)
    ask(made, "MRN000001\n")
    path = Inbox(made.config.inbox_dir).audit / "people.jsonl"
    (entry,) = audit.read(path)
    assert (entry.who, entry.what, entry.facts) == ("ada", "find", {"studies": [study_id(0)]})
    assert "MRN" not in path.read_text()


def test_a_question_nobody_can_answer_is_exit_1(node: MakeNode) -> None:
    """Nothing found, or nothing asked."""
    made = node(1)
    assert ask(made, "nobody\n")[0] == 1
    assert ask(made, "")[0] == 1


def echo(folder: Path, port: int) -> tuple[int, str]:
    """Run `echo research` on a configuration whose PACS is at this port."""
    node_folder(folder)
    file = folder / "node.toml"
    file.write_text(file.read_text().replace("port = 104", f"port = {port}"))
    done = CliRunner().invoke(deid_node, ["echo", "research", "-c", str(file)])
    return done.exit_code, done.output


def test_a_destination_that_is_there_answers(tmp_path: Path) -> None:
    """C-ECHO over our own upper layer."""
    with research_pacs(tmp_path / "pacs") as pacs:
        code, told = echo(tmp_path, pacs.port)
    assert code == 0, told
    assert "RESEARCH" in told


def test_a_destination_that_is_not_there_is_exit_1(tmp_path: Path) -> None:
    """With its address."""
    port = free_port()
    code, told = echo(tmp_path, port)
    assert code == 1
    assert str(port) in told


def test_a_destination_that_nobody_knows_is_exit_1(tmp_path: Path) -> None:
    """With the names of those that are known."""
    node_folder(tmp_path)
    done = CliRunner().invoke(deid_node, ["echo", "nowhere", "-c", str(tmp_path / "node.toml")])
    assert done.exit_code == 1
    assert "research" in done.stderr


class Server(BaseHTTPRequestHandler):
    """A DICOMweb server that answers OPTIONS with the status that its port's test asked for."""

    status = 200

    def do_OPTIONS(self) -> None:
        """Answer."""
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(200, 0, "answers"), (405, 0, "answers"), (401, 1, "credential"), (404, 1, "HTTP 404"),
     (503, 1, "HTTP 503"), (0, 1, "does not answer")],
)  # fmt: skip
def test_a_dicomweb_server_is_asked_by_http(
    tmp_path: Path, status: int, code: int, text: str
) -> None:
    """An answer says that it is there; what no delivery would pass is a failure. 0: not there."""
    asked = type("Asked", (Server,), {"status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), asked)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    if status:
        thread.start()
    else:
        server.server_close()
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\ndata_dir = "{tmp_path}"\n[[destinations]]\nname = "web"\ntype = "stow"\n'
        f'url = "http://127.0.0.1:{port}/dicom-web"\n'
    )
    done = CliRunner().invoke(deid_node, ["echo", "web", "-c", str(file)])
    if status:
        server.shutdown()
        server.server_close()
    assert (done.exit_code, text in done.output) == (code, True), done.output
