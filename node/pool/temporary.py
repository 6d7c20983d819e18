"""A role's own temporary folder, so that one that is killed leaves nothing behind for good."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util
from pathlib import Path


def take_temporary_folder(role: str, data_dir: Path) -> Callable[[], None]:
    """Make a fresh folder that this role of this node always has, and use it from here on.

    What an earlier run left there goes: its fork server's socket, mostly. Call it with the role's
    lock held, and what it returns at the end: that removes the folder. Where somebody else has the
    name, the system's folder is used.

    It lies in the system's temporary folder, and not in the node's: a socket's path is short.
    """
    node = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"deid-node-{role}-{node}"
    with suppress(OSError):  # raised where it is not there, a symlink, or not ours
        shutil.rmtree(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        return lambda: None
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    return lambda: _remove_at_exit(folder)


def _remove_at_exit(folder: Path) -> None:
    """Remove it after multiprocessing has removed its own in it (at -100), which it misses else."""
    util.Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=-200)
