"""Our command sets and pynetdicom's are the same bytes."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP, N_ACTION_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_ACTION
from pynetdicom.dsutils import decode

from node.upper_layer import Command, CommandField, ProtocolViolated, Status
from node.upper_layer.command import decode_command, encode_command
from node.upper_layer.names import STORAGE_COMMITMENT_INSTANCE, STORAGE_COMMITMENT_PUSH
from tests.upper_layer.pdus import CT, VERIFICATION, c_store_rq, command, ui, us

UID = "1.2.3.4.567"


def _theirs(message: DIMSEMessage, primitive: object) -> bytes:
    message.primitive_to_message(primitive)  # type: ignore[arg-type]
    fragment = next(message.encode_msg(1, 0))
    return fragment.presentation_data_value_list[0][1][1:]


def _read_by_them(encoded: bytes) -> Dataset:
    return decode(BytesIO(encoded), True, True)


def test_a_c_store_request_of_pynetdicom_is_understood() -> None:
    """Class, instance, message ID, and that a dataset follows."""
    primitive = C_STORE()
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CT, UID
    primitive.MessageID, primitive.Priority = 7, 2
    primitive.DataSet = BytesIO(b"\0\0")
    assert decode_command(_theirs(C_STORE_RQ(), primitive)) == Command(
        CommandField.C_STORE_RQ,
        message_id=7,
        sop_class=CT,
        sop_instance=UID,
        has_dataset=True,
        priority=2,
    )


def test_a_c_echo_request_of_pynetdicom_is_understood() -> None:
    """No dataset follows it."""
    primitive = C_ECHO()
    primitive.AffectedSOPClassUID, primitive.MessageID = VERIFICATION, 9
    wanted = Command(CommandField.C_ECHO_RQ, message_id=9, sop_class=VERIFICATION)
    assert decode_command(_theirs(C_ECHO_RQ(), primitive)) == wanted


def test_an_n_action_request_of_pynetdicom_is_understood() -> None:
    """Its SOP class and instance are the Requested ones."""
    primitive = N_ACTION()
    primitive.RequestedSOPClassUID = STORAGE_COMMITMENT_PUSH
    primitive.RequestedSOPInstanceUID = STORAGE_COMMITMENT_INSTANCE
    primitive.MessageID, primitive.ActionTypeID = 3, 1
    primitive.ActionInformation = BytesIO(b"\0\0")
    encoded = _theirs(N_ACTION_RQ(), primitive)
    ours = Command(
        CommandField.N_ACTION_RQ,
        message_id=3,
        sop_class=STORAGE_COMMITMENT_PUSH,
        sop_instance=STORAGE_COMMITMENT_INSTANCE,
        has_dataset=True,
        action_type=1,
    )
    assert decode_command(encoded) == ours
    theirs, written = _read_by_them(encoded), _read_by_them(encode_command(ours))
    del theirs.CommandDataSetType, written.CommandDataSetType  # any value but 0101H will do
    del theirs.CommandGroupLength, written.CommandGroupLength
    assert written == theirs


def test_our_answer_is_understood_by_pynetdicom() -> None:
    """The response has the request's class and instance, the status, and no dataset."""
    answer = decode_command(c_store_rq(UID, 7)).answer(Status.OUT_OF_RESOURCES)
    read = _read_by_them(encode_command(answer))
    assert read.CommandField == 0x8001
    assert read.MessageIDBeingRespondedTo == 7
    assert read.Status == 0xA700
    assert (read.AffectedSOPClassUID, read.AffectedSOPInstanceUID) == (CT, UID)
    assert read.CommandDataSetType == 0x0101
    assert "MessageID" not in read
    message = C_STORE_RSP()
    message.command_set = read
    assert message.message_to_primitive().Status == 0xA700


def test_what_we_write_we_read() -> None:
    """encode_command and decode_command are each other's inverse."""
    original = Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=65535,
        sop_class=STORAGE_COMMITMENT_PUSH,
        sop_instance=STORAGE_COMMITMENT_INSTANCE,
        has_dataset=True,
        event_type=2,
    )
    assert decode_command(encode_command(original)) == original


def test_padding_of_either_kind_is_stripped_from_a_uid() -> None:
    """Some senders pad with a space instead of a NUL."""
    encoded = command((0x0002, b"1.2 "), (0x0100, us(1)), (0x0800, us(1)), (0x1000, b"1.2.3\0"))
    decoded = decode_command(encoded)
    assert (decoded.sop_class, decoded.sop_instance) == ("1.2", "1.2.3")


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0\0",
        command((0x0100, us(1))),
        command((0x0800, us(1))),
        command((0x0100, b"\1"), (0x0800, us(1))),
        command((0x0100, us(1)), (0x0100, us(0x30)), (0x0800, us(1))),
        c_store_rq()[:-1],
        command((0x0100, us(1)), (0x0800, us(1))) + b"\x08\0\x16\0\x02\0\0\0ab",
        command((0x0100, us(1)), (0x0800, us(1))) + b"\0\0\x10\0\xff\xff\xff\xff",
    ],
)
def test_what_is_no_command_set_is_refused(encoded: bytes) -> None:
    """Cut short, an element twice, a foreign group, a length that lies, no Command Field."""
    with pytest.raises(ProtocolViolated):
        decode_command(encoded)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(noise: bytes) -> None:
    """Noise, and noise after a good command set."""
    for data in (noise, c_store_rq() + noise, ui("1") + noise):
        with contextlib.suppress(ProtocolViolated):
            decode_command(data)
