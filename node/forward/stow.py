"""A DICOMweb server by STOW-RS (PS3.18 10.5), an instance per request over one kept connection.

dicomweb-client gives the HTTP session. Its own store_instances would decode each file and write it
anew; here the bytes that were hashed are the bytes that are sent.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydicom.dataset import Dataset

from node.config import StowDestination
from node.forward.batch import Answer, Batch, Ending, Item, Reaction, Report
from node.forward.outcomes import describe, outcome_of
from node.forward.source import FileAltered, Reader, Source

_CANNOT_UNDERSTAND = 0xC000
NO_EXTRA = 'STOW needs the extra "stow": pip install "deid-node[stow]"'
#: PS3.18 Table 10.5.3-1 and RFC 9110; what is not here is tried three times.
STATUS_REACTIONS: dict[int, Reaction] = {
    HTTPStatus.BAD_REQUEST: Reaction.THREE_TRIES,
    HTTPStatus.UNAUTHORIZED: Reaction.SUSPEND,
    HTTPStatus.FORBIDDEN: Reaction.SUSPEND,
    HTTPStatus.NOT_FOUND: Reaction.SUSPEND,
    HTTPStatus.METHOD_NOT_ALLOWED: Reaction.SUSPEND,
    HTTPStatus.REQUEST_TIMEOUT: Reaction.RETRY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Reaction.REFUSE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Reaction.REFUSE,
    HTTPStatus.TOO_MANY_REQUESTS: Reaction.RETRY,
    HTTPStatus.BAD_GATEWAY: Reaction.RETRY,
    HTTPStatus.SERVICE_UNAVAILABLE: Reaction.RETRY,
    HTTPStatus.GATEWAY_TIMEOUT: Reaction.RETRY,
    HTTPStatus.INSUFFICIENT_STORAGE: Reaction.RETRY,
}


class _CannotStart(Exception):  # noqa: N818 -- a fact about the configuration
    """What the destination's configuration names is not there; a person is needed."""


@dataclass(slots=True)
class _Body:
    """A multipart/related body of one file; its length is known, so that it is not chunked."""

    source: Source
    boundary: str
    report: Report

    @property
    def head(self) -> bytes:
        return f"--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()

    @property
    def tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self.head) + self.source.item.bytes + len(self.tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        yield self.head
        for piece in self.source.pieces(0):
            yield piece
            self.report.sent(len(piece))
        yield self.tail


def send(batch: Batch, report: Report, stopped: Callable[[], bool]) -> Ending:
    """Post each item; see node.forward.batch.Send."""
    destination = batch.destination
    assert isinstance(destination, StowDestination)  # noqa: S101 -- SENDERS chose this function
    try:
        session = _open_session(destination)
    except _CannotStart as error:
        return Ending(Reaction.SUSPEND, str(error))
    reader = Reader()
    with session:
        for item in batch.items:
            if stopped():
                break
            answer = _post(session, destination, reader, item, report, batch.timeout_seconds)
            report.answered(answer)
            if answer.reaction in (Reaction.RETRY, Reaction.SUSPEND):
                return Ending(answer.reaction, answer.text)
    return Ending()


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


def _post(
    session: Any,
    destination: StowDestination,
    reader: Reader,
    item: Item,
    report: Report,
    timeout: float,
) -> Answer:
    boundary = secrets.token_hex(16)
    media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    try:
        with reader.open(item) as source:
            report.begun(item)
            response = session.post(
                destination.url.rstrip("/") + "/studies",
                data=_Body(source, boundary, report),
                headers={"Content-Type": media_type},
                timeout=(min(10.0, timeout), timeout),
                allow_redirects=False,
            )
            return _read_answer(item, response)
    except FileAltered as altered:
        session.close()  # so that the server sees the body end before its length
        return Answer(item.number, Reaction.REFUSE, str(altered))
    except OSError as error:  # what requests raises is an OSError too
        text = f"the server did not answer ({type(error).__name__})"
        return Answer(item.number, Reaction.RETRY, text, unknown=True)


def _read_answer(item: Item, response: Any) -> Answer:
    """Read the status, and the Store Instances Response (PS3.18 Annex I) about our one instance."""
    status = int(response.status_code)
    said = _payload(response)
    for failed in said.get("FailedSOPSequence") or ():
        reason = int(failed.get("FailureReason") or _CANNOT_UNDERSTAND)
        outcome = outcome_of(reason, sent_before=item.sent_before)
        return Answer(item.number, outcome.reaction, describe(reason, outcome))
    if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
        return Answer(item.number, Reaction.STORED, _warning(said))
    reaction = STATUS_REACTIONS.get(status, Reaction.THREE_TRIES)
    return Answer(item.number, reaction, f"HTTP {status}")


def _payload(response: Any) -> Dataset:
    if "json" not in response.headers.get("Content-Type", ""):
        return Dataset()
    try:
        return Dataset.from_json(json.loads(response.content))
    except Exception:  # noqa: BLE001 -- whatever the body is, the status line still counts
        return Dataset()


def _warning(said: Dataset) -> str:
    for stored in said.get("ReferencedSOPSequence") or ():
        reason = stored.get("WarningReason")
        if reason:
            return describe(int(reason), outcome_of(int(reason), sent_before=False))
    return ""
