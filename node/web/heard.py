"""What the audit trails have said since this role started, counted for metrics."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

from node.config import NodeConfig
from node.inbox.layout import Inbox
from node.outbox.layout import Outbox


class Heard:
    """Follows every trail of both zones from where it ended when this role started."""

    def __init__(self, config: NodeConfig) -> None:
        self._folders = (Inbox(config.inbox_dir).audit, Outbox(config.outbox_dir).audit)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        #: By device and inode: a volume that is full gets another name.
        self._read_to = {_key(file): file.st_size for file in map(Path.stat, self._volumes())}

    def counts(self) -> dict[str, int]:
        """Give how often each event was audited; it only grows."""
        with self._lock:
            for path in self._volumes():
                with suppress(FileNotFoundError):  # just renamed: it is followed next time
                    self._follow(path)
            return dict(self._counts)

    def _volumes(self) -> list[Path]:
        return [path for folder in self._folders for path in folder.glob("*.jsonl")]

    def _follow(self, path: Path) -> None:
        with path.open("rb") as file:
            key = _key(os.fstat(file.fileno()))
            file.seek(self._read_to.get(key, 0))
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to[key] = self._read_to.get(key, 0) + len(whole)
        for line in whole.splitlines():
            try:
                self._counts[str(json.loads(line)["what"])] += 1
            except (ValueError, KeyError, TypeError):  # `verify` tells of a line that is none
                continue


def _key(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino
