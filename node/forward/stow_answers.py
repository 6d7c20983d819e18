"""What a DICOMweb server answers to a store request (PS3.18 10.5.3 and Annex I), per instance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from pydicom.dataset import Dataset

from node.forward.batch import Answer, Item, Reaction
from node.forward.outcomes import describe, outcome_of

_CANNOT_UNDERSTAND = 0xC000
_STORED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
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
#: About the server or about us, whatever instances were in the request.
_ABOUT_ALL = frozenset({Reaction.RETRY, Reaction.SUSPEND})


def read_answers(items: Sequence[Item], status: int, content: bytes) -> Iterator[Answer]:
    """Give what is said of each item; an item of several that nothing is said of has no answer.

    `content` is the response in the DICOM JSON model, b"" if there is none.
    """
    said = _read(content)
    if len(items) == 1:
        yield _answer_alone(items[0], status, said)
        return
    failed = {_uid(each): each for each in said.get("FailedSOPSequence") or ()}
    stored = {_uid(each): each for each in said.get("ReferencedSOPSequence") or ()}
    says_nothing = not failed and not stored and not said.get("OtherFailuresSequence")
    reaction = STATUS_REACTIONS.get(status, Reaction.THREE_TRIES)
    for item in items:
        if item.sop_instance_uid in failed:
            yield _failure(item, failed[item.sop_instance_uid])
        elif item.sop_instance_uid in stored:
            yield Answer(item.number, Reaction.STORED, _warning(stored[item.sop_instance_uid]))
        elif status == HTTPStatus.OK and says_nothing:
            yield Answer(item.number, Reaction.STORED)
        elif status not in _STORED and reaction in _ABOUT_ALL:
            yield Answer(item.number, reaction, f"HTTP {status}")


def _answer_alone(item: Item, status: int, said: Dataset) -> Answer:
    """Read what can only be about the one item, by whatever UID it is called."""
    for sequence in ("FailedSOPSequence", "OtherFailuresSequence"):
        for failed in said.get(sequence) or ():
            return _failure(item, failed)
    if status in _STORED:
        stored = said.get("ReferencedSOPSequence") or (Dataset(),)
        return Answer(item.number, Reaction.STORED, _warning(stored[0]))
    reaction = STATUS_REACTIONS.get(status, Reaction.THREE_TRIES)
    return Answer(item.number, reaction, f"HTTP {status}")


def _failure(item: Item, failed: Dataset) -> Answer:
    reason = int(failed.get("FailureReason") or _CANNOT_UNDERSTAND)
    outcome = outcome_of(reason, sent_before=item.sent_before)
    return Answer(item.number, outcome.reaction, describe(reason, outcome))


def _warning(stored: Dataset) -> str:
    reason = int(stored.get("WarningReason") or 0)
    return describe(reason, outcome_of(reason, sent_before=False))


def _uid(reference: Dataset) -> str:
    return str(reference.get("ReferencedSOPInstanceUID", ""))


def _read(content: bytes) -> Dataset:
    try:
        return Dataset.from_json(json.loads(content))
    except Exception:  # noqa: BLE001 -- whatever the body is, the status line still counts
        return Dataset()
