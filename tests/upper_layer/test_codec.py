"""The codec stands on a few inner names of pynetdicom; these tests fail when one changes."""

from __future__ import annotations

import contextlib

import pynetdicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.upper_layer import Proposal, ProtocolViolated, Rejection, Supported
from node.upper_layer.codec import (
    RELEASE_RP,
    RELEASE_RQ,
    accept_request,
    decode_accept,
    decode_request,
    encode_abort,
    encode_rejection,
    encode_request,
)
from node.upper_layer.names import (
    LOSSLESS_SYNTAXES,
    STORAGE_COMMITMENT_PUSH,
    TRANSFER_SYNTAXES,
    storage_sop_classes,
)
from node.upper_layer.states import AbortReason
from tests.upper_layer import pdus
from tests.upper_layer.pdus import CT, EXPLICIT, IMPLICIT, VERIFICATION

J2K_LOSSLESS, J2K, JPEG = (f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 50))


def test_pynetdicom_is_the_version_that_this_was_written_on() -> None:
    """Its inner names may change with any release, so a new one is read before it is used."""
    assert pynetdicom.__version__ == "3.0.4"


def test_a_request_written_by_hand_is_understood() -> None:
    """AE titles without their padding, contexts, roles, the longest PDU."""
    roles = pdus.role_selection(STORAGE_COMMITMENT_PUSH, 0, 1)
    contexts = (*pdus.PROPOSED, (5, STORAGE_COMMITMENT_PUSH, (IMPLICIT,)))
    request = decode_request(
        pdus.associate_rq(contexts, calling=b" CT 1", max_pdu=0, more_user_items=roles)
    )
    assert (request.calling_ae_title, request.called_ae_title) == ("CT 1", "DEIDNODE")
    assert request.peer_max_pdu == 0
    assert request.proposals == (
        Proposal(1, VERIFICATION, (IMPLICIT,)),
        Proposal(3, CT, (EXPLICIT,)),
        Proposal(5, STORAGE_COMMITMENT_PUSH, (IMPLICIT,), scu_role=False, scp_role=True),
    )


def test_what_we_request_a_peer_like_us_understands() -> None:
    """encode_request and decode_request are each other's inverse."""
    proposals = (
        Proposal(1, CT, (EXPLICIT, J2K)),
        Proposal(3, STORAGE_COMMITMENT_PUSH, (IMPLICIT,), scu_role=False, scp_role=True),
    )
    request = decode_request(encode_request("US", "THEM", proposals, 65536))
    assert request.proposals == proposals
    assert (request.calling_ae_title, request.called_ae_title) == ("US", "THEM")
    assert request.peer_max_pdu == 65536


def test_both_sides_agree_on_what_was_negotiated() -> None:
    """The acceptor's view and the requestor's differ in the roles alone."""
    proposals = (
        Proposal(1, CT, (EXPLICIT,)),
        Proposal(3, CT, (JPEG,)),
        Proposal(5, "1.2.3.4", (EXPLICIT,)),
    )
    request = decode_request(encode_request("US", "THEM", proposals, 16384))
    accepted, answer = accept_request(request, (Supported(CT, (EXPLICIT,)),), 131072)
    seen = decode_accept(answer, proposals)
    assert accepted.contexts.keys() == seen.contexts.keys() == {1}
    assert accepted.refused == seen.refused == {3: 4, 5: 3}
    assert (accepted.contexts[1].as_scp, seen.contexts[1].as_scu) == (True, True)
    assert (accepted.peer_max_pdu, seen.peer_max_pdu) == (16384, 131072)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ((J2K, IMPLICIT, EXPLICIT), EXPLICIT),
        ((J2K, IMPLICIT), IMPLICIT),
        ((J2K, JPEG, J2K_LOSSLESS), J2K_LOSSLESS),
        ((JPEG, J2K), JPEG),
    ],
)
def test_the_simplest_syntax_that_loses_nothing_is_taken(
    offered: tuple[str, ...], taken: str
) -> None:
    """Explicit, then Implicit VR Little Endian, then lossless; lossy only alone."""
    request = decode_request(pdus.associate_rq(((1, CT, offered),)))
    accepted, _ = accept_request(request, (Supported(CT, TRANSFER_SYNTAXES),), 16384)
    assert accepted.contexts[1].transfer_syntax == taken


def test_every_transfer_syntax_of_pynetdicom_is_known() -> None:
    """HTJ2K and video included, each once."""
    assert set(pynetdicom.ALL_TRANSFER_SYNTAXES) <= set(TRANSFER_SYNTAXES)
    assert len(set(TRANSFER_SYNTAXES)) == len(TRANSFER_SYNTAXES)
    assert TRANSFER_SYNTAXES[: len(LOSSLESS_SYNTAXES)] == LOSSLESS_SYNTAXES
    assert len(storage_sop_classes()) >= 170


def test_a_role_for_storage_is_left_unanswered() -> None:
    """PS3.7 D.3.3.4: no answer means the default roles; the context stays."""
    both = pdus.role_selection(CT, 1, 1)
    request = decode_request(pdus.associate_rq(((1, CT, (EXPLICIT,)),), more_user_items=both))
    accepted, answer = accept_request(request, (Supported(CT, (EXPLICIT,)),), 16384)
    assert accepted.contexts[1].as_scp
    assert not accepted.contexts[1].as_scu
    assert b"\x54" not in answer[-80:]


def test_a_role_for_commitment_is_answered() -> None:
    """A requestor that proposes to be SCP and SCU is let be what we support, SCU."""
    both = pdus.role_selection(STORAGE_COMMITMENT_PUSH, 1, 1)
    context = (1, STORAGE_COMMITMENT_PUSH, (IMPLICIT,))
    supported = Supported(STORAGE_COMMITMENT_PUSH, (IMPLICIT,), scu_role=True, scp_role=False)
    request = decode_request(pdus.associate_rq((context,), more_user_items=both))
    accepted, answer = accept_request(request, (supported,), 16384)
    assert accepted.contexts[1].as_scp
    assert answer.endswith(pdus.role_selection(STORAGE_COMMITMENT_PUSH, 1, 0))


@pytest.mark.parametrize("rejection", Rejection)
def test_each_rejection_is_written_as_the_standard_says(rejection: Rejection) -> None:
    """PS3.8 Table 9-21."""
    assert encode_rejection(rejection) == pdus.pdu(3, bytes((0, *rejection.value)))


def test_release_and_abort_are_written_as_the_standard_says() -> None:
    """PS3.8 Tables 9-24 to 9-26."""
    assert (RELEASE_RQ, RELEASE_RP) == (pdus.RELEASE_RQ, pdus.RELEASE_RP)
    assert encode_abort(None) == pdus.pdu(7, bytes(4))
    assert encode_abort(AbortReason.UNEXPECTED_PDU) == pdus.pdu(7, bytes((0, 0, 2, 2)))


@pytest.mark.parametrize(
    "request_pdu",
    [
        pdus.associate_rq(()),
        pdus.associate_rq(((1, CT, ()),)),
        pdus.associate_rq(((2, CT, (EXPLICIT,)),)),
        pdus.associate_rq(((1, CT, (EXPLICIT,)), (1, VERIFICATION, (IMPLICIT,)))),
        pdus.associate_rq(((1, "", (EXPLICIT,)),)),
        pdus.associate_rq(calling=b"CT\r\nX"),
        pdus.associate_rq(calling=b"\x1b[2J"),
        pdus.associate_rq(calling=b""),
        pdus.associate_rq(called=b"\xff\xfe"),
        pdus.associate_rq(application_context=b"not a UID"),
        pdus.associate_rq(more_user_items=b"\x58\0\0\x02\x01"),
        pdus.associate_rq(more_user_items=pdus.item(0x54, b"\0\x09", length=2)),
        pdus.associate_rq()[:90],
    ],
    ids=str,
)
def test_a_malformed_request_is_one_fact(request_pdu: bytes) -> None:
    """Whatever a decoder inside stumbles on, the caller sees ProtocolViolated."""
    with pytest.raises(ProtocolViolated):
        decode_request(request_pdu)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_make_the_decoders_raise_anything_else(noise: bytes, at: int) -> None:
    """Noise alone, and noise inside a good request and a good answer."""
    good = pdus.associate_rq()
    proposals = (Proposal(1, CT, (EXPLICIT,)),)
    _, answer = accept_request(decode_request(good), (Supported(CT, (EXPLICIT,)),), 16384)
    for data in (noise, good[:at] + noise + good[at + len(noise) :]):
        with contextlib.suppress(ProtocolViolated):
            decode_request(data)
    with contextlib.suppress(ProtocolViolated):
        decode_accept(answer[:at] + noise + answer[at:], proposals)
