"""The units: hardened as far as promised, and held to the program that they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from node.cli import COMMANDS
from node.inbox.layout import Inbox
from node.outbox.layout import Outbox
from tests.systemd.users import SHIPPED

ROLES = ("receive", "process", "forward", "web")
#: The promise, in tenths.
THRESHOLDS = {"receive": 13, "process": 6, "forward": 13, "web": 13}


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="units were not scored: no systemd-analyze"
)
@pytest.mark.parametrize("role", ROLES)
def test_a_unit_s_exposure_is_below_the_promise(role: str) -> None:
    """As Debian 12's systemd scores it."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={THRESHOLDS[role]}",
         "--no-pager", str(SHIPPED / f"deid-node-{role}.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="units were not verified: no systemd-analyze"
)
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """No key is misspelt, no dependency missing; the program need not be installed for that."""
    units = []
    for path in [*SHIPPED.glob("*.service"), *SHIPPED.glob("*.target")]:
        text = path.read_text().replace("/opt/deid-node/bin/deid-node", shutil.which("true") or "")
        units.append(tmp_path / path.name)
        units[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "deid-node" in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize("role", ROLES)
def test_a_unit_starts_its_role(role: str) -> None:
    """Under a user of its own, supervised by the watchdog, drained by SIGTERM."""
    text = (SHIPPED / f"deid-node-{role}.service").read_text()
    assert f"/bin/deid-node {role} " in text
    assert role in COMMANDS
    for line in (f"User=deid-{role}", "Type=notify", "OOMPolicy=continue", "KillMode=mixed"):
        assert line in text


def test_the_target_starts_and_stops_every_role() -> None:
    """`systemctl enable --now deid-node.target` is all that the operations page asks for."""
    target = (SHIPPED / "deid-node.target").read_text()
    wanted = " ".join(re.findall(r"^Wants=(.*)$", target, re.MULTILINE)).split()
    assert sorted(wanted) == sorted(f"deid-node-{role}.service" for role in ROLES)
    for unit in wanted:
        assert "PartOf=deid-node.target" in (SHIPPED / unit).read_text()


def test_the_documentation_that_units_name_is_installed() -> None:
    """`systemctl status` points an operator to a page that the wheel brings."""
    pages = tomllib.loads((SHIPPED.parent / "pyproject.toml").read_text())
    shared = pages["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]["docs"]
    for path in [*SHIPPED.glob("*.service"), *SHIPPED.glob("*.target")]:
        (named,) = re.findall(
            r"^Documentation=file:/opt/deid-node/(\S+)$", path.read_text(), re.MULTILINE
        )
        assert (SHIPPED.parent / "docs" / Path(named).relative_to(shared)).is_file()


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or os.geteuid() != 0,
    reason="users and folders were not made: no systemd-sysusers, or not root",
)
def test_systemd_makes_the_users_and_folders_that_units_need(tmp_path: Path) -> None:
    """By systemd's own programs, into an empty root, without a word of complaint."""
    etc = tmp_path / "etc"
    for kind in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(SHIPPED / kind, etc / kind)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")
    for program in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]):
        done = subprocess.run(
            [*program, f"--root={tmp_path}"], capture_output=True, text=True, check=False
        )
        told = [line for line in done.stderr.splitlines() if not line.startswith("Creating ")]
        assert (done.returncode, told) == (0, [])
    users, groups = (
        {line.split(":")[0] for line in (etc / name).read_text().splitlines()}
        for name in ("passwd", "group")
    )
    for unit in SHIPPED.glob("*.service"):
        text = unit.read_text()
        assert set(re.findall(r"^User=(.+)$", text, re.MULTILINE)) <= users
        named = " ".join(re.findall(r"^(?:Supplementary)?Groups?=(.+)$", text, re.MULTILINE))
        assert set(named.split()) <= groups
    assert (tmp_path / "var/lib/deid-node/inbox/arrived").is_dir()


def test_process_has_no_network_and_forward_no_inbox() -> None:
    """The two walls, in the words that an auditor looks for."""
    process = (SHIPPED / "deid-node-process.service").read_text()
    assert "PrivateNetwork=yes" in process
    assert "LoadCredential=pseudonym.key:" in process
    forward = (SHIPPED / "deid-node-forward.service").read_text()
    assert "InaccessiblePaths=-/var/lib/deid-node/inbox" in forward


def test_tmpfiles_makes_every_folder_that_the_node_uses() -> None:
    """A folder that the code has and tmpfiles.d has not would be made with the wrong owner."""
    text = (SHIPPED / "tmpfiles.d/deid-node.conf").read_text()
    made = set(re.findall(r"^d (\S+)", text, re.MULTILINE))
    data = Path("/var/lib/deid-node")
    for zone in (Inbox(data / "inbox"), Outbox(data / "outbox")):
        for name, attribute in vars(type(zone)).items():
            place = getattr(zone, name) if isinstance(attribute, property) else None
            if isinstance(place, Path):
                folder = place.parent if place.suffix else place
                assert str(folder) in made, name


def test_the_scores_are_those_of_debian_12() -> None:
    """The thresholds mean what systemd 252 means by them; a newer one may count more."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("units were not scored: no systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--json=short",
         str(SHIPPED / "deid-node-process.service")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    exposed = [row["json_field"] for row in json.loads(done.stdout) if row["set"] is False]
    assert "PrivateNetwork" not in exposed
