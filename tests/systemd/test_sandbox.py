"""What the units forbid, no role needs: its system calls, through a study, are let through."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.running_node import COMMAND, RunningNode, write_config
from tests.factories import make_instance
from tests.peers import research_pacs, send
from tests.ports import free_port
from tests.systemd.users import SHIPPED

ROLES = ("receive", "process", "forward", "web")
#: Asked for without need; where it is refused, everything goes on.
WISHES = {
    "fchown",  # SQLite, for -wal and -shm, as root only
    "mbind",  # an allocator, about NUMA
}
#: Read where it is there, and done without where it is not.
HINTS = {"/proc/cpuinfo", "/proc/filesystems", "/proc/stat", "/proc/sys/vm/overcommit_memory"}
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        not (shutil.which("strace") and shutil.which("systemd-analyze")),
        reason="system calls were not watched: apt-get install strace systemd",
    ),
]


@functools.cache
def group(name: str) -> frozenset[str]:
    """Give the system calls of one of systemd's groups, those of the groups in it included."""
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    found: set[str] = set()
    for word in map(str.strip, told):
        if word.startswith("@"):
            found |= group(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return frozenset(found)


def let_through(role: str) -> frozenset[str]:
    """Read a unit's SystemCallFilter lines as systemd does."""
    allowed: frozenset[str] = frozenset()
    text = (SHIPPED / f"deid-node-{role}.service").read_text()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        words = line.lstrip("~").split()
        names = frozenset().union(*(group(w) if w.startswith("@") else {w} for w in words))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


@pytest.fixture(scope="module", name="traces")
def _traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run each role by itself, watched, while a study goes through; give the folder of traces."""
    folder = tmp_path_factory.mktemp("watched")
    port, web = free_port(), free_port()
    with research_pacs(folder / "pacs") as pacs:
        config = write_config(folder, pacs.port, port)
        config.write_text(config.read_text().replace("[web]\nport = 0", f"[web]\nport = {web}"))
        with (folder / "log").open("ab") as log:
            watched = [
                subprocess.Popen(
                    ["strace", "-f", "-qq", "-o", str(folder / role), *COMMAND, role,
                     "-c", str(config)], stderr=log, stdout=log,
                )
                for role in ROLES
            ]  # fmt: skip
        node = RunningNode(folder, port, watched[0])
        try:
            node.wait_started(web)
            capture = make_instance(patient=2, modality="OT")
            send([*(make_instance(instance=n) for n in range(1, 5)), capture], port)
            node.wait_settled(received=5)
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=30) as page:
                assert page.status == 200
        finally:
            for strace in watched:
                children = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text()
                for child in children.split():
                    os.kill(int(child), signal.SIGTERM)
            codes = [strace.wait(60) for strace in watched]
        assert codes == [0, 0, 0, 0], node.log()[-4000:]
        assert "Traceback" not in node.log()
    return folder


@pytest.mark.parametrize("role", ROLES)
def test_a_role_calls_only_what_its_unit_lets_through(traces: Path, role: str) -> None:
    """From its start, through a study, to its end; its workers included."""
    trace = (traces / role).read_text(errors="replace")
    called = set(re.findall(r"^\d+\s+(\w+)\(", trace, re.MULTILINE))
    assert len(called) > 30
    assert called - let_through(role) - WISHES == set()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_needs_nothing_of_proc_that_its_unit_hides(traces: Path, role: str) -> None:
    """ProcSubset=pid leaves the folders of processes, and neither /proc/uptime nor /proc/sys."""
    if "\nProcSubset=pid" not in (SHIPPED / f"deid-node-{role}.service").read_text():
        assert role == "process"
        return
    trace = (traces / role).read_text(errors="replace")
    opened = set(re.findall(r'open(?:at)?\(.*"(/proc/[^"]+)", O_.* = \d+$', trace, re.MULTILINE))
    elsewhere = {path for path in opened if not re.match(r"/proc/(self|thread-self|\d+)\b", path)}
    assert elsewhere - HINTS == set()


@pytest.mark.parametrize("role", ROLES)
def test_no_memory_is_writable_and_executable(traces: Path, role: str) -> None:
    """MemoryDenyWriteExecute= takes nothing away."""
    trace = (traces / role).read_text(errors="replace").splitlines()
    assert not [line for line in trace if "PROT_WRITE" in line and "PROT_EXEC" in line]


def test_process_opens_no_socket_of_a_network(traces: Path) -> None:
    """PrivateNetwork= takes nothing away: it connects to nobody, and listens nowhere."""
    trace = (traces / "process").read_text(errors="replace").splitlines()
    spoke = [line for line in trace if re.search(r" (connect|bind)\(.*AF_INET", line)]
    # A library binds port 0 of ::1 once, to see whether there is IPv6.
    assert not [line for line in spoke if line.endswith("= 0") and "htons(0)" not in line]
