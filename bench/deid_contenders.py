"""What is measured at de-identifying: programs that treat every file of a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: They treat every file of argv[1] into argv[2] and print how many, wall and CPU seconds, peak kB.
_LOOP = """
import os, sys, time
from pathlib import Path
source, target = Path(sys.argv[1]), Path(sys.argv[2])
{setup}
files = sorted(source.iterdir())[:{most}]
{first}
clock, cpu = time.perf_counter(), time.process_time()
for file in files:
    {each}
status = Path("/proc/self/status").read_text().split()
peak = status[status.index("VmHWM:") + 1]
print(len(files), time.perf_counter() - clock, time.process_time() - cpu, peak)
"""
#: So many files are enough of a peer that takes long.
_FEW = 40
_RECIPE = (
    "from node.deid import deidentify\n"
    "from node.validate import validate\n"
    "from node.profile.load import load_profile\n"
    "from node.profile.recipe import Recipe\n"
    "recipe = Recipe(load_profile({profile!r}), bytes(32))"
)
_ENGINE = _LOOP.format(
    most="",
    setup=_RECIPE,
    first="for file in files[:2]: deidentify(file, target / ('first' + file.name), recipe)",
    each="deidentify(file, target / file.name, recipe)",
)
_PROVEN = _LOOP.format(
    most="",
    setup=_RECIPE,
    first=(
        "deidentify(files[0], target / 'first', recipe)\n"
        "validate(files[0], target / 'first', recipe)\n"
        "import gc; gc.freeze()"  # as the server has done that jobs are forked from
    ),
    each=(
        "deidentify(file, target / file.name, recipe); "
        "assert len(validate(file, target / file.name, recipe).sha256) == 64"
    ),
)
_COPY = _LOOP.format(
    most="", setup="import shutil", first="", each="shutil.copyfile(file, target / file.name)"
)
_DICOGNITO = _LOOP.format(
    most="",
    setup=(
        "import pydicom\nfrom dicognito.anonymizer import Anonymizer\nanonymizer = Anonymizer()"
    ),
    first="",
    each=(
        "dataset = pydicom.dcmread(file); anonymizer.anonymize(dataset); "
        "dataset.save_as(target / file.name)"
    ),
)
_DCMANON = _LOOP.format(
    most="",
    setup="from dcmanon import Anonymizer\nanonymizer = Anonymizer()",
    first="",
    each="(target / file.name).write_bytes(anonymizer.anonymize(str(file)))",
)
_KITWARE = _LOOP.format(
    most="",
    setup="from dicomanonymizer import anonymize_dicom_file",
    first="",
    each="anonymize_dicom_file(str(file), str(target / file.name))",
)
_DEID = _LOOP.format(
    most=_FEW,
    setup=(
        "from deid.config import DeidRecipe\n"
        "from deid.dicom import get_identifiers, replace_identifiers\n"
        "recipe = DeidRecipe()"
    ),
    first="",
    each=(
        "replace_identifiers([str(file)], get_identifiers([str(file)]), deid=recipe, save=True, "
        "overwrite=True, output_folder=str(target), remove_private=True)"
    ),
)
_PEERS = {
    "dcmanon": _DCMANON, "dicognito": _DICOGNITO, "dicom-anonymizer": _KITWARE, "deid": _DEID,
}  # fmt: skip


def contenders(profiles: Sequence[str], peers: str | None, folder: Path) -> dict[str, list[str]]:
    """Give the command of each contender; those of `peers` where that Python has them."""
    python = sys.executable
    found = {"copy (the floor)": [python, "-c", _COPY]}
    for profile in profiles:
        for loop, what in ((_ENGINE, ""), (_PROVEN, ", proven")):
            program = loop.replace("{profile!r}", repr(profile))
            found[f"deid-node {profile}{what}"] = [python, "-c", program]
    if gdcmanon := shutil.which("gdcmanon"):
        found["gdcmanon"] = [gdcmanon, "-e", "-c", str(_certificate(folder))]
    for name, program in _PEERS.items() if peers else ():
        setup = next(line for line in program.splitlines() if name.replace("-", "") in line)
        if (
            subprocess.run([str(peers), "-c", setup], capture_output=True, check=False).returncode
            == 0
        ):
            found[name] = [str(peers), "-c", program]
    return found


def _certificate(folder: Path) -> Path:
    """Make what gdcmanon encrypts the original attributes with; it works with no less."""
    path = folder / "certificate.pem"
    if not path.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench",
             "-keyout", folder / "key.pem", "-out", path],
            check=True, capture_output=True,
        )  # fmt: skip
    return path
