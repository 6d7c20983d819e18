"""One instance of 2 GB through forward: what memory its sender takes."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from pathlib import Path

from node.forward import forwarder as forwarder_module
from node.outbox.manifest import ReleasedInstance
from tests.factories import make_instance, write_instance
from tests.forward.harness import dicom_destination, make_world
from tests.outbox.releases import publish

PIXEL_BYTES = 2**31 - 4096
_TAIL = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, PIXEL_BYTES)


def report(port: int) -> None:
    """Send the instance and print rate and memory."""
    with tempfile.TemporaryDirectory() as temporary:
        world = make_world(Path(temporary), [dicom_destination(port)], timeout_seconds=60)
        folder = world.outbox.staging / "large-g1"
        folder.mkdir()
        image = make_instance()
        del image.PixelData
        path = write_instance(folder / "large.dcm", image)
        with path.open("ab") as file:
            file.write(_TAIL)
        os.truncate(path, path.stat().st_size + PIXEL_BYTES)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry = ReleasedInstance(
            str(image.SOPInstanceUID), path.name, str(image.SOPClassUID),
            str(image.file_meta.TransferSyntaxUID), "CT", path.stat().st_size, digest,
        )  # fmt: skip
        publish(world.outbox, world.key, folder, (entry,), ["research"])
        forwarder_module.TICK_SECONDS = 0.05
        began, most = time.perf_counter(), 0
        with world.forwarding() as forwarder:
            line = forwarder.lines.lines["research"]
            while not world.receipts():
                forwarder.tick(time.time(), time.monotonic())
                if line.sending and line.sending.process.pid:
                    most = max(most, _resident(line.sending.process.pid))
        seconds = time.perf_counter() - began
        megabytes = entry.bytes / 1e6
        print(f"one instance of {megabytes:.0f} MB: {megabytes / seconds:.0f} MB/s, hashed twice,")
        print(f"  its sender's memory at most {most / 1024:.0f} MB (to reach: flat)")


def _resident(pid: int) -> int:
    """Give a process's resident memory in KB, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
