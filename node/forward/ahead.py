"""The next item's file is read and hashed while the current one is on its way."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import cycle

from node.forward.batch import Item
from node.forward.source import Reader, Source

#: A smaller file is read faster than it is handed to another thread.
AHEAD_FROM = 128 * 1024


class Opening:
    """An item whose file is being opened and checked, perhaps by another thread.

    As a context it gives the Source, or raises FileAltered.
    """

    def __init__(self, item: Item, reader: Reader, thread: Executor) -> None:
        self.item = item
        self._opened = reader.open(item)
        self._source: Future[Source] | None = None
        if item.bytes >= AHEAD_FROM:
            self._source = thread.submit(self._opened.__enter__)

    def __enter__(self) -> Source:
        return self._source.result() if self._source else self._opened.__enter__()

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(None, None, None)

    def forget(self) -> None:
        """Close the file of an item that is not sent after all."""
        if self._source and self._source.exception() is None:
            self._opened.__exit__(None, None, None)


def read_ahead(items: Iterator[Item]) -> Generator[Opening, None, None]:
    """Give items one by one, while the next one's file is read and hashed."""
    readers = cycle((Reader(), Reader()))
    waiting: Opening | None = None
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            for item in items:
                ready, waiting = waiting, Opening(item, next(readers), thread)
                if ready is not None:
                    yield ready
            if waiting is not None:
                ready, waiting = waiting, None
                yield ready
        finally:
            if waiting is not None:
                waiting.forget()
