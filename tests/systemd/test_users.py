"""With real users and file modes, the wall between the zones is the kernel's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from node import audit
from node.config import load_config
from node.outbox.signing import create_signing_key
from node.profile.key import create_key
from node.status import status
from node.upper_layer import UpperLayerError
from tests.acceptance.running_node import PATIENCE
from tests.factories import make_instance
from tests.peers import send
from tests.ports import free_port
from tests.systemd.users import User, make_folders, users

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(os.geteuid() != 0, reason="the users of the units were not tried: not root"),
]
ROLES = ("process", "forward", "web", "receive")


@dataclass
class Node:
    """A node whose roles run as the users of their units."""

    root: Path
    port: int
    users: dict[str, User]
    running: dict[str, subprocess.Popen[bytes]]

    @property
    def config(self) -> Path:
        """Its node.toml."""
        return self.root / "node.toml"


@pytest.fixture(scope="module", name="node")
def _node() -> Iterator[Node]:
    """Run the four roles, each as its own user, and have them deliver a study."""
    known = users()
    root = Path(tempfile.mkdtemp(prefix="deid-users-"))
    root.chmod(0o755)
    code, printed = known["deid-forward"].run("-c", "import node.cli")
    if code != 0:
        shutil.rmtree(root)
        pytest.skip(f"other users cannot read this checkout: {printed.splitlines()[-1:]}")
    node = Node(root, free_port(), known, {})
    make_folders(root, known)
    credentials = _credentials(root, known["deid-process"])
    node.config.write_text(
        f'[node]\ndata_dir = "{root}"\n[receive]\nhost = "127.0.0.1"\nport = {node.port}\n'
        f"min_free_bytes = 0\n[completion]\nquiet_seconds = 0.5\n"
        f"[web]\nport = {free_port()}\n"
    )
    node.config.chmod(0o644)
    for role in ROLES:
        given = {"CREDENTIALS_DIRECTORY": str(credentials)} if role == "process" else {}
        with (root / f"{role}.log").open("wb") as log:
            node.running[role] = known[f"deid-{role}"].start(
                "-m", "node", role, "-c", str(node.config), log=log, **given
            )
    try:
        _deliver(node)
        yield node
    finally:
        for process in node.running.values():
            process.send_signal(signal.SIGTERM)
        for process in node.running.values():
            process.wait(timeout=40)
        shutil.rmtree(root)


def _credentials(root: Path, user: User) -> Path:
    """Make what LoadCredential= gives: read-only copies in a folder of the unit's user."""
    folder = root / "credentials"
    folder.mkdir()
    create_key(folder / "pseudonym.key")
    create_signing_key(folder / "manifest.key", root / "unused.pem")
    for path in (*folder.iterdir(), folder):
        os.chown(path, user.uid, 0)
        path.chmod(0o500 if path == folder else 0o400)
    return folder


def _deliver(node: Node) -> None:
    """Send a study and wait until the folder destination has it."""
    config = load_config(node.config)
    deadline = time.monotonic() + PATIENCE
    sent = False
    while time.monotonic() < deadline:
        for role, process in node.running.items():
            assert process.poll() is None, (role, (node.root / f"{role}.log").read_text())
        now = status(config)
        if not sent and all(now["roles"].values()):
            with suppress(UpperLayerError):  # a role lives before it listens
                sent = send([make_instance(instance=n) for n in (1, 2, 3)], node.port) == [0, 0, 0]
        if now["destinations"][0]["delivered"] == 3:
            return
        time.sleep(0.3)
    raise AssertionError((node.root / "forward.log").read_text())


#: Tries to open everything below a folder, and prints what it could.
TRY_ALL = """
import os, sys
root = sys.argv[1]
try:
    names = os.listdir(root)
except PermissionError:
    names = []
for known in sys.argv[2:]:
    for path in (known, *(os.path.join(root, name) for name in names)):
        for flags in (os.O_RDONLY, os.O_WRONLY):
            try:
                os.close(os.open(path, flags)); print(path)
            except (PermissionError, IsADirectoryError):
                pass
"""


def all_files(folder: Path) -> list[str]:
    """List every file and folder below a folder, as root sees it."""
    return [str(path) for path in (folder, *folder.rglob("*"))]


def test_forward_cannot_open_one_byte_of_the_inbox(node: Node) -> None:
    """Neither read nor written, by any name."""
    files = all_files(node.root / "inbox")
    assert sum(name.endswith(".dcm") for name in files) == 3
    code, opened = node.users["deid-forward"].run("-c", TRY_ALL, str(node.root / "inbox"), *files)
    assert (code, opened) == (0, "")


def test_who_may_read_the_inbox_can_with_the_same_attempt(node: Node) -> None:
    """The attempt of the test above is a real one: web is of the identified zone."""
    files = all_files(node.root / "inbox")
    code, opened = node.users["deid-web"].run("-c", TRY_ALL, str(node.root / "inbox"), *files)
    assert code == 0
    assert opened.count(".dcm") >= 3


def test_forward_cannot_open_staging(node: Node) -> None:
    """What was not released yet is nobody's but process's."""
    staging = node.root / "outbox" / "staging"
    (staging / "half-made").mkdir(exist_ok=True)
    (staging / "half-made" / "x.dcm").write_bytes(b"not validated")
    os.chown(staging / "half-made", node.users["deid-process"].uid, 0)
    for user in ("deid-forward", "deid-web", "deid-receive"):
        assert node.users[user].run("-c", TRY_ALL, str(staging), *all_files(staging)) == (0, "")
    shutil.rmtree(staging / "half-made")


def test_receive_cannot_open_one_byte_of_the_outbox(node: Node) -> None:
    """The receiver has no business there."""
    files = all_files(node.root / "outbox")
    assert node.users["deid-receive"].run("-c", TRY_ALL, str(node.root / "outbox"), *files) == (
        0,
        "",
    )


@pytest.mark.parametrize("user", ["deid-receive", "deid-forward", "deid-web"])
def test_the_keys_are_closed_to_all_but_process(node: Node, user: str) -> None:
    """Whoever has the pseudonym key can tell whose pseudonym is whose."""
    keys = [str(node.root / "credentials" / name) for name in ("pseudonym.key", "manifest.key")]
    assert node.users[user].run("-c", TRY_ALL, str(node.root / "credentials"), *keys) == (0, "")


def test_forward_cannot_change_what_was_released(node: Node) -> None:
    """It reads the releases; only process writes them."""
    (release,) = (node.root / "outbox" / "releases").iterdir()
    code, printed = node.users["deid-forward"].run(
        "-c",
        "import os, sys; os.listdir(sys.argv[1])\n"
        "try: os.mkdir(sys.argv[1] + '/x'); print('made')\n"
        "except PermissionError: pass\n"
        "try: os.rename(sys.argv[1], sys.argv[1] + 'x'); print('moved')\n"
        "except PermissionError: pass",
        str(release),
    )
    assert (code, printed) == (0, "")


def test_web_sees_the_whole_status(node: Node) -> None:
    """Both databases with their -wal and -shm, both zones' locks."""
    code, printed = node.users["deid-web"].run(
        "-m", "node", "status", "--json", "-c", str(node.config)
    )
    assert code == 0, printed
    assert '"released": 3' in printed
    assert '"delivered": 3' in printed


def test_an_operator_who_was_first_keeps_no_role_from_writing(node: Node) -> None:
    """The trail that root's `find` begins with root's umask is one that web writes on."""
    subprocess.run(
        [sys.executable, "-m", "node", "find", "-c", str(node.config)],
        input="nobody's", text=True, umask=0o022, check=False, timeout=PATIENCE,
    )  # fmt: skip
    trail = node.root / "inbox" / "audit" / "people.jsonl"
    entry = f"audit.append(Path({str(trail)!r}), 'ada', 'decided', '2026-01-02T03:04:05+00:00')"
    code, printed = node.users["deid-web"].run(
        "-c", f"from pathlib import Path; from node import audit; {entry}"
    )
    assert (code, printed) == (0, "")
    assert [entry.what for entry in audit.read(trail)] == ["find", "decided"]


def test_nothing_is_open_to_others(node: Node) -> None:
    """No file or folder below the zones gives anybody else a right."""
    for zone in ("inbox", "outbox"):
        for path in (node.root / zone).rglob("*"):
            if path.name != "manifest-public.pem":
                assert path.stat().st_mode & 0o007 == 0, path
