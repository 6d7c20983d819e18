"""A DICOMweb server by STOW-RS (PS3.18 10.5), several instances per request, one kept connection.

dicomweb-client gives the HTTP session. Its own store_instances would decode each file and write it
anew; here the bytes that were hashed are the bytes that are sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from node.config import StowDestination
from node.forward.batch import Answer, Batch, Ending, Item, Reaction, Report
from node.forward.source import FileAltered, Reader, Source
from node.forward.stow_answers import read_answers

NO_EXTRA = 'STOW needs the extra "stow": pip install "deid-node[stow]"'
#: A request has as many instances as fit into both; a larger instance goes alone.
TOGETHER_BYTES, TOGETHER_INSTANCES = 32 * 1024 * 1024, 50
#: Of a longer answer only the status counts.
_MOST_ANSWER_BYTES, _PIECE = 4 * 1024 * 1024, 64 * 1024


class _CannotStart(Exception):  # noqa: N818 -- a fact about the configuration
    """What the destination's configuration names is not there; a person is needed."""


@dataclass(slots=True)
class _Body:
    """A multipart/related body (RFC 2387); its length is known, so that it is not chunked."""

    sources: Sequence[Source]
    boundary: str
    report: Report

    @property
    def head(self) -> bytes:
        return f"\r\n--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()

    @property
    def tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    def __len__(self) -> int:
        files = sum(source.item.bytes for source in self.sources)
        return len(self.sources) * len(self.head) + files + len(self.tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for source in self.sources:
            yield self.head
            for piece in source.pieces(0):
                yield piece
                self.report.sent(len(piece))
        yield self.tail


@dataclass(slots=True)
class _Server:
    """The server, and how its requests are told."""

    session: Any
    address: str
    report: Report
    timeout: float
    _readers: list[Reader] = field(
        default_factory=lambda: [Reader() for _ in range(TOGETHER_INSTANCES)]
    )

    def deliver(self, items: Sequence[Item]) -> Ending | None:
        """Post items together, then one by one what the answer leaves open.

        An Ending ends the batch.
        """
        ending: Ending | None = None
        unsaid = {item.number: item for item in items}
        for answer in self._post(items):
            del unsaid[answer.number]
            self.report.answered(answer)
            if answer.reaction in (Reaction.RETRY, Reaction.SUSPEND):
                ending = ending or Ending(answer.reaction, answer.text)
        for item in unsaid.values():
            ending = ending or self.deliver((replace(item, sent_before=True),))
        return ending

    def _post(self, items: Sequence[Item]) -> Iterator[Answer]:
        with ExitStack() as files:
            sources = []
            for reader, item in zip(self._readers, items, strict=False):
                try:
                    sources.append(files.enter_context(reader.open(item)))
                except FileAltered as altered:
                    yield Answer(item.number, Reaction.REFUSE, str(altered))
            if not sources:
                return
            sent = [source.item for source in sources]
            for item in sent:
                self.report.begun(item)
            try:
                status, content = self._request(sources)
            except FileAltered as altered:  # of a large one, which is alone
                self.session.close()  # so that the server sees the body end before its length
                yield Answer(sent[0].number, Reaction.REFUSE, str(altered))
            except OSError as error:  # what requests raises is an OSError too
                text = f"the server did not answer ({type(error).__name__})"
                for item in sent:
                    yield Answer(item.number, Reaction.RETRY, text, unknown=True)
            else:
                yield from read_answers(sent, status, content)

    def _request(self, sources: Sequence[Source]) -> tuple[int, bytes]:
        boundary = secrets.token_hex(16)
        media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        with self.session.post(
            self.address,
            data=_Body(sources, boundary, self.report),
            headers={"Content-Type": media_type},
            timeout=(min(10.0, self.timeout), self.timeout),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = bytearray()
            for piece in response.iter_content(_PIECE):
                content += piece
                if len(content) > _MOST_ANSWER_BYTES:
                    return int(response.status_code), b""
            return int(response.status_code), bytes(content)


def send(batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
    """Post each item; see node.forward.batch.Send."""
    destination = batch.destination
    assert isinstance(destination, StowDestination)  # noqa: S101 -- SENDERS chose this function
    try:
        session = _open_session(destination)
    except _CannotStart as error:
        return Ending(Reaction.SUSPEND, str(error))
    with session:
        address = destination.url.rstrip("/") + "/studies"
        server = _Server(session, address, report, batch.timeout_seconds)
        for items in _requests(batch.items):
            if stopped():
                break
            ending = server.deliver(items)
            if ending is not None:
                return ending
    return Ending()


def ask_capabilities(destination: StowDestination, timeout: float) -> int:
    """Ask what the server can do (OPTIONS, PS3.18 8.9), and give the HTTP status of its answer.

    Raises
    ------
    OSError
        If it does not answer, or what the configuration names cannot be read or used.
    """
    try:
        session = _open_session(destination)
    except _CannotStart as error:
        raise OSError(str(error)) from None
    with session:
        answer = session.options(
            destination.url.rstrip("/") + "/studies", timeout=timeout, allow_redirects=False
        )
        return int(answer.status_code)


def _requests(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Cut items into those that are posted together; one that went before goes alone.

    It may be why there was no answer, and would leave those beside it without one again.
    """
    together: list[Item] = []
    size = 0
    for item in items:
        full = len(together) == TOGETHER_INSTANCES or size + item.bytes > TOGETHER_BYTES
        if together and (full or item.sent_before):
            yield together
            together, size = [], 0
        if item.sent_before:
            yield [item]
            continue
        together.append(item)
        size += item.bytes
    if together:
        yield together


def _open_session(destination: StowDestination) -> Any:
    try:
        from dicomweb_client.session_utils import create_session  # noqa: PLC0415 -- an extra
    except ImportError:
        raise _CannotStart(NO_EXTRA) from None
    session = create_session()
    session.trust_env = False  # no proxy, no .netrc: only what the configuration says
    session.headers["Accept"] = "application/dicom+json"
    tls = destination.tls
    if tls:
        session.verify = str(tls.ca)
        if tls.certificate and tls.private_key:
            session.cert = (str(tls.certificate), str(tls.private_key))
    if destination.credential:
        try:
            token = destination.credential.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise _CannotStart("the credential file cannot be read") from None
        session.headers["Authorization"] = f"Bearer {token}"
    return session
