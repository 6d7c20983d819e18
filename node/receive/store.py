"""One C-STORE: from the wire to a file in `arrived` that survives a power cut, or a status."""

from __future__ import annotations

from dataclasses import dataclass

from node.inbox.header import HeaderReader, Unreadable
from node.inbox.header_values import is_uid
from node.receive.file_meta import file_meta
from node.receive.spool import Partial, Spool
from node.receive.storage import Storage
from node.upper_layer import Association, Command, Message, Status

#: The reserve is looked at again after so many bytes of one instance.
_LOOK_AGAIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818 -- an answer, not an accident
    """An instance that is not kept: the status to answer, and the reason for our log."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is durable."""

    bytes: int


def store(
    association: Association,
    message: Message,
    spool: Spool,
    headers: HeaderReader,
    storage: Storage,
    max_bytes: int,
) -> Stored:
    """Receive one instance's dataset and keep it; when this returns it may be answered 0x0000.

    Raises
    ------
    Refusal
        It is not kept and leaves nothing behind. What is left of its dataset was not received.
    UpperLayerError
        The association ended inside the dataset; nothing of it is left.
    """
    command = message.command
    _check_command(message)
    _check_room(storage)
    meta = file_meta(
        command.sop_class,
        command.sop_instance,
        message.context.transfer_syntax,
        association.calling_ae_title,
        association.called_ae_title,
    )
    try:
        with spool.begin() as partial:
            size = _receive_dataset(association, meta, partial, storage, max_bytes)
            partial.write_back()
            _check_header(partial, headers, command)
            partial.keep()
    except OSError:
        storage.report_failure()
        raise Refusal(Status.OUT_OF_RESOURCES, "the disk failed") from None
    return Stored(size)


def _receive_dataset(
    association: Association, meta: bytes, partial: Partial, storage: Storage, max_bytes: int
) -> int:
    """Write File Meta and dataset; give the dataset's length."""
    size = 0
    not_written = [memoryview(meta)]
    look_again = _LOOK_AGAIN_BYTES
    for fragments in association.fragments():
        size += sum(map(len, fragments))
        if size > max_bytes:
            raise Refusal(Status.OUT_OF_RESOURCES, "longer than max_instance_bytes")
        if size > look_again:
            _check_room(storage)
            look_again = size + _LOOK_AGAIN_BYTES
        partial.write(not_written + fragments)
        not_written = []
    if not_written:
        partial.write(not_written)
    return size


def _check_room(storage: Storage) -> None:
    if not storage.has_room:
        raise Refusal(Status.OUT_OF_RESOURCES, "less than min_free_bytes is free")


def _check_command(message: Message) -> None:
    command = message.command
    if not command.has_dataset:
        raise Refusal(Status.CANNOT_UNDERSTAND, "no dataset")
    if not is_uid(command.sop_instance) or not is_uid(command.sop_class):
        raise Refusal(Status.DATASET_DOES_NOT_MATCH, "a UID of the command is not a UID")
    if command.sop_class != message.context.abstract_syntax:
        raise Refusal(
            Status.DATASET_DOES_NOT_MATCH, "the SOP class is not the presentation context's"
        )


def _check_header(partial: Partial, headers: HeaderReader, command: Command) -> None:
    try:
        header = headers.read(partial.fd)
    except Unreadable as error:
        raise Refusal(Status.CANNOT_UNDERSTAND, str(error)) from None
    if (header.sop_class_uid, header.sop_instance_uid) != (
        command.sop_class,
        command.sop_instance,
    ):
        raise Refusal(
            Status.DATASET_DOES_NOT_MATCH, "dataset and command differ in SOP class or instance"
        )
