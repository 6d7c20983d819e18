"""The peers that are measured beside ours: Debian's packages, and PyPI's in a venv of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

#: Debian package and a program of it.
PACKAGES = {"dcmtk": "storescp", "orthanc": "Orthanc", "libgdcm-tools": "gdcmanon"}
PROJECTS = ("dicognito", "dicom-anonymizer", "deid", "dcmanon")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


def install(folder: Path) -> Path:
    """Install what is missing; give the Python of the peers' venv."""
    missing = [
        package for package, program in PACKAGES.items() if not shutil.which(program, path=_PATH)
    ]
    if missing:
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        subprocess.run([*as_root, "apt-get", "update", "-qq"], check=True)
        subprocess.run([*as_root, "apt-get", "install", "-y", "-qq", *missing], check=True)
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PROJECTS], check=True)
    return python


def versions(python: Path) -> list[str]:
    """Tell the version of each peer and of what ours stands on."""
    told = [
        _first_line(["dpkg-query", "--show", "--showformat=${Package} ${Version}", package])
        for package in PACKAGES
    ]
    for interpreter, projects in (
        (str(python), PROJECTS),
        (sys.executable, ("pynetdicom", "pydicom", "numpy", "sqlalchemy")),
    ):
        query = (
            "import sys; from importlib.metadata import version\n"
            "for name in sys.argv[1:]: print(name, version(name))"
        )
        done = subprocess.run(
            [interpreter, "-c", query, *projects], capture_output=True, text=True, check=True
        )
        told += done.stdout.splitlines()
    return told


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or f"{command[-1]}: not installed").splitlines()[0]
