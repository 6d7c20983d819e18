"""Signing in, two rights, and what only those see who decide."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from node import audit
from node.cli import deid_node
from node.config import NodeConfig
from node.inbox.decisions import DecisionKind, read_decision, waiting_decisions
from node.inbox.layout import Inbox
from node.inbox.originals import original
from node.web import users
from node.web.app import make_app
from node.web.users import Right, make_user, write_users
from tests.factories import make_instance, patient_name, write_instance
from tests.web.filled import filled_node, study_id

PASSWORDS = {"ada": "a long password", "bob": "another password"}
INSTANCE = "assoc00000-000001"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash at a cost that tests can pay; the cost of the real one has its own test."""
    monkeypatch.setattr(users, "_N", 2**4)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> NodeConfig:
    """Give a node with a held study, an original to look at, and two users."""
    file = tmp_path / "web-users"
    known = [
        make_user("ada", Right.DECIDE, PASSWORDS["ada"]),
        make_user("bob", Right.WATCH, PASSWORDS["bob"]),
    ]
    write_users(file, {user.name: user for user in known})
    config = filled_node(tmp_path, 2, f'[web]\nusers = "{file}"\n')
    place = original(Inbox(config.inbox_dir), study_id(0), INSTANCE)
    write_instance(place, make_instance(rows=32))
    return config


SignIn = Callable[[str], TestClient]


@pytest.fixture(name="client")
def _client(config: NodeConfig) -> TestClient:
    return TestClient(make_app(config), base_url="http://127.0.0.1", follow_redirects=False)


@pytest.fixture(name="sign_in")
def _sign_in(client: TestClient) -> SignIn:
    """Sign a user in with the right password."""

    def sign_in(name: str) -> TestClient:
        answer = client.post("/sign-in", data={"name": name, "password": PASSWORDS[name]})
        assert answer.status_code == 303
        return client

    return sign_in


def csrf(client: TestClient) -> str:
    """Read the token that the forms of this session carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def trail(config: NodeConfig) -> list[tuple[str, str]]:
    """Give who did what, as audited."""
    path = Inbox(config.inbox_dir).audit / "people.jsonl"
    return [(entry.who, entry.what) for entry in audit.read(path)] if path.exists() else []


@pytest.mark.parametrize("path", ["/", f"/studies/{study_id(0)}"])
def test_where_there_are_users_nothing_is_shown_to_strangers(client: TestClient, path: str) -> None:
    """They are asked to sign in."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("nobody", "a long password"), ("", ""), ("bob", PASSWORDS["ada"])],
)
def test_a_wrong_name_or_password_does_not_get_in(
    client: TestClient, name: str, password: str
) -> None:
    """And the answer does not tell which of the two was wrong."""
    answer = client.post("/sign-in", data={"name": name, "password": password})
    assert answer.status_code == 403
    assert "Name or password is wrong" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_name_is_closed_after_five_wrong_passwords(client: TestClient) -> None:
    """Even the right one then waits a minute."""
    for _ in range(5):
        client.post("/sign-in", data={"name": "ada", "password": "guess"})
    answer = client.post("/sign-in", data={"name": "ada", "password": PASSWORDS["ada"]})
    assert answer.status_code == 403


def test_the_cookie_is_closed_to_scripts_and_other_sites(client: TestClient) -> None:
    """HttpOnly and SameSite=Strict."""
    answer = client.post("/sign-in", data={"name": "ada", "password": PASSWORDS["ada"]})
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]


def test_who_may_watch_sees_no_phi_and_no_buttons(sign_in: SignIn, config: NodeConfig) -> None:
    """Nor do the addresses of those who decide answer."""
    client = sign_in("bob")
    assert "Decide" not in client.get(f"/studies/{study_id(0)}").text
    for path in (f"/studies/{study_id(0)}/instances/{INSTANCE}",
                 f"/studies/{study_id(0)}/instances/{INSTANCE}/frame"):  # fmt: skip
        assert client.get(path).status_code == 403
    form = {"csrf": csrf(client), "kind": "release", "reason": "x"}
    assert client.post(f"/studies/{study_id(0)}/decide", data=form).status_code == 403
    assert client.post("/find", data=form | {"value": "MRN000001"}).status_code == 403
    assert waiting_decisions(Inbox(config.inbox_dir)) == []


def test_who_decides_sees_the_picture_and_the_changes(sign_in: SignIn, config: NodeConfig) -> None:
    """Rendered by a worker; the name before and a pseudonym after; audited once."""
    client = sign_in("ada")
    page = client.get(f"/studies/{study_id(0)}/instances/{INSTANCE}")
    assert page.status_code == 200
    assert patient_name(1) in page.text
    assert "You see identified data" in page.text
    picture = client.get(f"/studies/{study_id(0)}/instances/{INSTANCE}/frame?centre=100&width=50")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert picture.headers["cache-control"] == "no-store"
    assert trail(config) == [("ada", "signed in"), ("ada", "revealed")]


def test_a_reveal_that_cannot_be_audited_is_not_made(sign_in: SignIn, config: NodeConfig) -> None:
    """No entry, no picture."""
    client = sign_in("ada")
    path = Inbox(config.inbox_dir).audit / "people.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        client.get(f"/studies/{study_id(0)}/instances/{INSTANCE}")


def test_a_file_that_cannot_be_drawn_says_so(sign_in: SignIn, config: NodeConfig) -> None:
    """A broken original is why a person looks; the page stands."""
    place = original(Inbox(config.inbox_dir), study_id(0), "assoc00000-000002")
    place.write_bytes(b"no image")
    page = sign_in("ada").get(f"/studies/{study_id(0)}/instances/assoc00000-000002")
    assert page.status_code == 200
    assert "no image that can be drawn" in page.text


@pytest.mark.parametrize("path", ["/studies/nosuchid/instances/x", "/studies/..%2f/instances/x"])
def test_an_instance_that_is_not_there_is_404(sign_in: SignIn, path: str) -> None:
    """Ids are looked up in rows, never joined to a path first."""
    assert sign_in("ada").get(path).status_code == 404


def test_a_decision_is_written_with_the_person_s_name(sign_in: SignIn, config: NodeConfig) -> None:
    """Audited first, then a file for process."""
    client = sign_in("ada")
    form = {"csrf": csrf(client), "kind": "release", "reason": "no text in it", "override": "yes"}
    answer = client.post(f"/studies/{study_id(0)}/decide", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{study_id(0)}")
    (path,) = waiting_decisions(Inbox(config.inbox_dir))
    decision = read_decision(path)
    assert decision.kind is DecisionKind.RELEASE
    assert (decision.who, decision.why, decision.override) == ("ada", "no text in it", True)
    assert ("ada", "decided") in trail(config)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"csrf": "forged"}, 403), ({"csrf": ""}, 403), ({"reason": " "}, 400),
        ({"kind": "publish"}, 400),
    ],
)  # fmt: skip
def test_a_form_that_is_not_ours_or_says_too_little_decides_nothing(
    sign_in: SignIn, config: NodeConfig, change: dict[str, str], code: int
) -> None:
    """A page elsewhere cannot make a signed-in person's browser decide."""
    client = sign_in("ada")
    form = {"csrf": csrf(client), "kind": "reject", "reason": "r"} | change
    assert client.post(f"/studies/{study_id(0)}/decide", data=form).status_code == code
    assert waiting_decisions(Inbox(config.inbox_dir)) == []


def test_a_study_is_found_without_the_question_in_an_address(
    sign_in: SignIn, config: NodeConfig
) -> None:
    """Posted, audited without what was asked."""
    client = sign_in("ada")
    answer = client.post("/find", data={"csrf": csrf(client), "value": "MRN000001"})
    assert study_id(1) in answer.text
    assert "MRN" not in (Inbox(config.inbox_dir).audit / "people.jsonl").read_text()
    assert ("ada", "find") in trail(config)


def test_who_signed_out_is_a_stranger(sign_in: SignIn) -> None:
    """The session is forgotten, not only the cookie."""
    client = sign_in("ada")
    cookies = dict(client.cookies)
    client.post("/sign-out", data={"csrf": csrf(client)})
    client.cookies.update(cookies)
    assert client.get("/").status_code == 303


def test_passwords_are_hashed_at_a_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrypt with 128 MiB, a salt of its own each."""
    monkeypatch.undo()
    one, two = (make_user("ada", Right.WATCH, "the same password") for _ in range(2))
    assert one.hashed != two.hashed
    assert one.hashed.startswith("scrypt:131072:8:1:")
    assert users.check_password({"ada": one}, "ada", "the same password") == one
    assert users.check_password({"ada": one}, "ada", "the same passwore") is None


def test_users_are_added_and_removed_by_the_command_line(tmp_path: Path) -> None:
    """The password comes by stdin, the file holds no word of it."""
    file = tmp_path / "node.toml"
    file.write_text(f'[web]\nusers = "{tmp_path / "web-users"}"\n')

    def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(deid_node, [*arguments, "-c", str(file)], input=stdin)
        return done.exit_code, done.output

    add = ("user", "add", "ada", "--right", "decide")
    assert run(*add, stdin="short\n")[0] == 1
    assert run(*add, stdin="a long password\n")[0] == 0
    assert run("user", "list") == (0, "ada decide\n")
    written = (tmp_path / "web-users").read_text()
    assert "long password" not in written
    assert (tmp_path / "web-users").stat().st_mode & 0o007 == 0
    if os.geteuid() == 0:  # whose group may read it is the administrator's to say, once
        os.chown(tmp_path / "web-users", 0, 61_700)
    group = (tmp_path / "web-users").stat().st_gid
    assert run("user", "remove", "ada")[0] == 0
    assert (tmp_path / "web-users").stat().st_gid == group
    assert run("user", "list") == (0, "")


@pytest.mark.parametrize("extra", ["", 'users = "web-users"\n'])
def test_beyond_loopback_the_page_needs_users_and_tls(tmp_path: Path, extra: str) -> None:
    """Told with the other mistakes, before anything starts."""
    file = tmp_path / "node.toml"
    file.write_text(f'[web]\nhost = "0.0.0.0"\n{extra}')
    done = CliRunner().invoke(deid_node, ["config", "check", "-c", str(file)])
    assert done.exit_code == 2
    assert "web.host" in done.stderr
