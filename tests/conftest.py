"""What is run where: peers and corpora are used when they are there, and missed out loud."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import pydicom.data
import pytest

#: Where Debian puts Orthanc, which a plain user's PATH does not name.
ORTHANC = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: Its DICOMweb plugin, a package of its own (orthanc-dicomweb); None where it is not installed.
ORTHANC_DICOMWEB = next(Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so"), None)
CORPUS = os.environ.get("DEID_NODE_CORPUS", "")

#: The files that pydicom brings along, odd and broken ones among them.
BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
#: Debian's libfaketime, under which a role sees another wall clock.
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

_missed: dict[str, int] = {}
_HOW = {
    "peer": "tests with real peers were not run: apt-get install dcmtk orthanc",
    "faketime": "tests with a false clock were not run: apt-get install faketime",
    "mount": "tests on a disk that is full were not run: they mount a small one, as root",
    "corpus": "tests over corpora were not run: set DEID_NODE_CORPUS to a folder of DICOM files",
}


def _missing() -> set[str]:
    missing = set()
    if not (shutil.which("storescu") and ORTHANC):
        missing.add("peer")
    if not FAKETIME:
        missing.add("faketime")
    if not _may_mount():
        missing.add("mount")
    if not (CORPUS and Path(CORPUS).is_dir()):
        missing.add("corpus")
    return missing


@cache
def _may_mount() -> bool:
    """Try it: a container may forbid it to its root, too."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "probe", folder]
        try:
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                return False
        except OSError:
            return False
        return subprocess.run(["umount", folder], check=False).returncode == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that this machine lacks."""
    missing = _missing()
    left_out = []
    for item in items:
        for marker in missing & {mark.name for mark in item.iter_markers()}:
            _missed[marker] = _missed.get(marker, 0) + 1
            left_out.append(item)
            break
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not run and how to get it."""
    for marker in sorted(_missing()):
        terminalreporter.write_line(f"{_missed.get(marker) or 'All'} {_HOW[marker]}", yellow=True)


@pytest.fixture
def corpus() -> Path:
    """Give the folder that DEID_NODE_CORPUS names."""
    return Path(CORPUS)


@pytest.fixture
def server_of_senders() -> Iterator[None]:
    """Have senders forked from a server of their own, outside tests/forward.

    Python keeps one such server a process; the workers' one has left the network.
    """
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()
