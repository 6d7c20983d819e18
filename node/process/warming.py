"""A fork server that knows what its jobs would each have to find out.

Each job is a process of its own, forked from that server. So before the first job the server treats
a made-up instance of each common SOP class under each profile of the routes, with a key of zeros:
tables are read, and most attributes are decided about.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
)

from node.process import worker
from node.process.messages import Deidentify, FileReference
from node.profile import Profile, load_profile
from node.profile.recipe import Recipe
from node.profile.tables import attribute, read

#: Paths of the routes' profiles, one a line: a fork server takes nothing else along.
PROFILES = "DEID_NODE_PRELOAD_PROFILES"
#: A worker looks for garbage when it has so many objects more, not 700 as CPython does: an SR has
#: thousands of elements, none of them in a cycle: looking would find nothing.
_FOR_A_COLLECTION = 5_000
COMMON = (
    CTImageStorage, MRImageStorage, ComputedRadiographyImageStorage, UltrasoundImageStorage,
    DigitalXRayImageStorageForPresentation, EnhancedSRStorage,
)  # fmt: skip
_PIXELS = {
    "Rows": 2, "Columns": 2, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
    "PixelRepresentation": 0, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
    "PixelData": bytes(8),
}  # fmt: skip
_VALUES = {
    "PatientID": "1", "PatientName": "A", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3",
    "SOPInstanceUID": "1.4", "StudyDate": "20000101", "PatientBirthDate": "19800101",
}  # fmt: skip


def tell_profiles(paths: Iterable[Path]) -> None:
    """Say which profiles a fork server that is started from here on warms up."""
    os.environ[PROFILES] = "\n".join(str(path.absolute()) for path in paths)


def warm_up() -> None:
    """Do it, in the fork server."""
    for path in filter(None, os.environ.get(PROFILES, "").splitlines()):
        # A cold start is slower, no less right; what is wrong with a profile, loading it tells.
        with suppress(Exception), tempfile.TemporaryDirectory() as folder:
            treat_made_up(load_profile(path), Path(folder))
    # Nothing of this is garbage, and looking for garbage would copy its pages into every job.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_FOR_A_COLLECTION)


def treat_made_up(profile: Profile, folder: Path) -> None:
    """De-identify and validate one instance of each common SOP class; what comes of it is gone."""
    files = []
    made = folder / "made"
    made.mkdir()
    for number, sop_class in enumerate(COMMON):
        source = folder / f"{number}.dcm"
        made_up(sop_class).save_as(source, enforce_file_format=True)
        files.append(FileReference(str(number), source, made / f"{number}.dcm"))
    worker.know(profile)
    worker.treat(Deidentify(0, Recipe(profile, bytes(32), "", ""), tuple(files)))


def made_up(sop_class: UID) -> FileDataset:
    """Make an instance with every attribute of its IOD, the most of them empty."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, UID("1.4")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    for tag in _attributes(sop_class):
        known = attribute(tag)
        if known and known.vr and " " not in known.vr:
            dataset.add_new(tag, known.vr, [] if known.vr == "SQ" else None)
    values = _VALUES | (_PIXELS if "Rows" in dataset else {})
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = sop_class
    return dataset


def _attributes(sop_class: UID) -> Iterator[int]:
    table = read("iod_types.json.gz")
    for module, _usage in table["iods"][table["sop_to_iod"][sop_class]]:
        yield from (int(tag, 16) for tag in table["modules"][module]["tags"])
