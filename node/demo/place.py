"""Where the demo lives: a folder with a real `node.toml`, and the node that runs on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.demo.peers import free_port
from node.web.users import Right, make_user, write_users

MARK = "made-by-deid-node-demo"
#: The demo's page is on this machine only, and shows nobody's data.
USERS, PERSON, PASSWORD = "web-users", "demo", "demo-password"
STOP_SECONDS = 60
QUIET_SECONDS = 2


class NodeFailed(Exception):  # noqa: N818 -- a fact
    """The demo's node ended by itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's folder and ports."""

    folder: Path
    receive_port: int
    pacs_port: int
    web_port: int

    @property
    def config(self) -> Path:
        """The configuration that the node runs on."""
        return self.folder / "node.toml"

    @property
    def data(self) -> Path:
        """The node's data_dir."""
        return self.folder / "data"

    @property
    def pacs(self) -> Path:
        """What the research PACS holds."""
        return self.folder / "pacs"

    @property
    def page(self) -> str:
        """Where the node's status page is while it runs."""
        return f"http://127.0.0.1:{self.web_port}/"

    @property
    def log(self) -> Path:
        """What the node logged."""
        return self.folder / "node.log"


def make_place() -> Place:
    """Make the demo's folder afresh, here or in a temporary place, with its node.toml."""
    place = Place(_fresh_folder(), free_port(), free_port(), free_port())
    _add_user(place)
    place.config.write_text(
        f"""# The configuration of `deid-node demo`; config/node.toml tells every key.
[node]
data_dir = "{place.data}"

[receive]
host = "127.0.0.1"
port = {place.receive_port}
min_free_bytes = 67108864

[completion]
quiet_seconds = {QUIET_SECONDS}

[[routes]]
name = "demo"
profile = "basic"
destinations = ["research"]

[[destinations]]
name = "research"
type = "dicom"
ae_title = "RESEARCH"
host = "127.0.0.1"
port = {place.pacs_port}

[forward]
host = "127.0.0.1"
retry_first_seconds = 1

[web]
port = {place.web_port}
users = "{place.folder / USERS}"
""",
        encoding="utf-8",
    )
    return place


def _add_user(place: Place) -> None:
    """Let one person sign in to the demo's page, with the right to decide."""
    user = make_user(PERSON, Right.DECIDE, PASSWORD)
    write_users(place.folder / USERS, {user.name: user})


@contextmanager
def running_node(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """Run `deid-node run` on the demo's configuration while the block runs, then let it drain."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DEID_NODE_")}
    with place.log.open("ab") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "node", "run", "-c", str(place.config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            process_group=0,  # a Ctrl-C is ours to act on
        )  # fmt: skip
    try:
        yield node
    finally:
        node.send_signal(signal.SIGTERM)
        try:
            node.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()


def _fresh_folder() -> Path:
    """Give `demo-data/` here, emptied if an earlier demo made it, else a temporary folder."""
    folder = Path.cwd() / "demo-data"
    if (folder / MARK).is_file():
        shutil.rmtree(folder)
    try:
        folder.mkdir()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="deid-node-demo-"))
    (folder / MARK).touch()
    return folder
