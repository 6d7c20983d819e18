"""Who may send, decided before the association is accepted."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from node.config import NodeConfig, Peer, Receive, Route
from node.receive.admission import Caller, Places, Policy, judge, policy_of
from node.upper_layer import (
    AssociateRequest,
    AssociationRejected,
    Proposal,
    Rejection,
    open_association,
)
from tests.receive.receiving import CT, EXPLICIT, receiving, sending, wait_until
from tests.upper_layer import pdus

REQUEST = AssociateRequest(
    calling_ae_title="CT1",
    called_ae_title="DEIDNODE",
    application_context="1.2.840.10008.3.1.1.1",
    protocol_version=1,
    proposals=(Proposal(1, CT, (EXPLICIT,)),),
    peer_max_pdu=16384,
)
PLAIN = Caller("10.1.2.3", is_tls=False, certificate_sha256="")
SECURE = Caller("10.1.2.3", is_tls=True, certificate_sha256="ab" * 32)
ANYONE = Policy((), frozenset(), 64, 64)
CT1 = Peer(ae_title="CT1", networks=("10.1.0.0/16",))


def of(*peers: Peer) -> Policy:
    """Give a policy with these peers."""
    return Policy(peers, frozenset(), 64, 64)


def test_without_peers_anyone_may_send() -> None:
    """And is nobody in particular."""
    assert judge(REQUEST, PLAIN, ANYONE) is None


def test_a_known_peer_is_recognised() -> None:
    """By AE title and network."""
    assert judge(REQUEST, PLAIN, of(Peer(ae_title="MR1"), CT1)) == CT1


@pytest.mark.parametrize("address", ["::ffff:10.1.2.3", "10.1.255.255"])
def test_a_network_is_matched_however_the_address_is_written(address: str) -> None:
    """An IPv6 socket shows IPv4 peers as mapped addresses."""
    assert judge(REQUEST, replace(PLAIN, address=address), of(CT1)) == CT1


@pytest.mark.parametrize("address", ["10.2.0.1", "fe80::1%eth0", "::1"])
def test_the_right_title_from_the_wrong_network_is_not_recognised(address: str) -> None:
    """An AE title is not authentication."""
    caller = replace(PLAIN, address=address)
    assert judge(REQUEST, caller, of(CT1)) is Rejection.CALLING_AE_NOT_RECOGNISED


@pytest.mark.parametrize("title", ["CT2", "ct1", "CT1X"])
def test_another_title_is_not_recognised(title: str) -> None:
    """AE titles are compared exactly (PS3.5: case is significant)."""
    request = replace(REQUEST, calling_ae_title=title)
    assert judge(request, PLAIN, of(CT1)) is Rejection.CALLING_AE_NOT_RECOGNISED


def test_a_peer_that_must_use_tls_is_rejected_in_the_clear() -> None:
    """And taken over TLS."""
    peer = Peer(ae_title="CT1", tls_required=True)
    assert judge(REQUEST, PLAIN, of(peer)) is Rejection.NO_REASON
    assert judge(REQUEST, SECURE, of(peer)) == peer


def test_a_pinned_certificate_is_the_only_one() -> None:
    """Another certificate of the same authority does not do, nor does none."""
    peer = Peer(ae_title="CT1", certificate_sha256="AB" * 32)
    assert judge(REQUEST, SECURE, of(peer)) == peer
    other = replace(SECURE, certificate_sha256="cd" * 32)
    assert judge(REQUEST, other, of(peer)) is Rejection.NO_REASON
    assert judge(REQUEST, PLAIN, of(peer)) is Rejection.NO_REASON


def test_a_called_title_is_ours_or_a_routes() -> None:
    """Where it is required: ae_titles, and the routes' titles that are no patterns."""
    routes = tuple(
        Route(name=f"r{n}", called_ae_title=title, destinations=("delivered",))
        for n, title in enumerate(("TRIAL", "*", "X?"))
    )
    config = NodeConfig(receive=Receive(require_called_ae_title=True), routes=routes)
    policy = policy_of(config)
    for title in ("DEIDNODE", "TRIAL"):
        assert judge(replace(REQUEST, called_ae_title=title), PLAIN, policy) is None
    for title in ("X1", "*", "X?", "OTHER"):
        rejection = judge(replace(REQUEST, called_ae_title=title), PLAIN, policy)
        assert rejection is Rejection.CALLED_AE_NOT_RECOGNISED


def test_another_protocol_is_rejected_by_name() -> None:
    """Version bit 0 and the DICOM application context (PS3.8 9.3.2)."""
    version = replace(REQUEST, protocol_version=2)
    assert judge(version, PLAIN, ANYONE) is Rejection.PROTOCOL_VERSION_NOT_SUPPORTED
    context = replace(REQUEST, application_context="1.2.3")
    assert judge(context, PLAIN, ANYONE) is Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED


def test_places_are_counted_per_peer_per_address_and_in_all() -> None:
    """And given back, whatever ended the association."""
    places = Places(Policy((), frozenset(), max_associations=4, max_per_address=3))
    peer = Peer(ae_title="CT1", max_associations=1)
    elsewhere = replace(PLAIN, address="10.9.9.9")
    with places.take(peer, PLAIN) as first, places.take(peer, PLAIN) as of_same_peer:
        assert first
        assert not of_same_peer
        with places.take(None, PLAIN) as second, places.take(None, PLAIN) as third:
            assert second
            assert third
            with places.take(None, PLAIN) as of_same_address:
                assert not of_same_address
            with places.take(None, elsewhere) as fourth, places.take(None, elsewhere) as fifth:
                assert fourth
                assert not fifth
    with pytest.raises(LookupError), places.take(peer, PLAIN):
        raise LookupError
    assert places.taken == 0


def _rejected(port: int, **who: str) -> tuple[int, int, int]:
    with pytest.raises(AssociationRejected) as told, sending(port, **who):
        pass
    return told.value.result, told.value.source, told.value.reason


def test_a_stranger_hears_why(tmp_path: Path) -> None:
    """Over the wire: calling AE title not recognised."""
    peers = ({"ae_title": "CT1", "networks": ["127.0.0.0/8"]}, {"ae_title": "CT2", "networks": []})
    with receiving(tmp_path, peers=peers) as node:
        assert _rejected(node.port, calling="NOBODY") == (1, 1, 3)
        with sending(node.port, calling="CT1"), sending(node.port, calling="CT2"):
            pass


def test_one_association_too_many_hears_why_and_only_live_ones_count(tmp_path: Path) -> None:
    """Over the wire: local limit exceeded, transient; a place that was left is free."""
    with receiving(tmp_path, max_associations=2) as node:
        with sending(node.port), sending(node.port):
            assert _rejected(node.port) == (2, 3, 2)
        assert wait_until(lambda: node.receiver.places.taken == 0)
        with sending(node.port), sending(node.port):
            pass


def test_only_live_associations_count(tmp_path: Path) -> None:
    """Not a connection that asks for nothing, not one whose end the peer only has to see."""
    with receiving(tmp_path, max_associations=1) as node, ExitStack() as stack:
        silent, leaving = (
            stack.enter_context(socket.create_connection(("127.0.0.1", node.port), 100))
            for _ in range(2)
        )
        leaving.sendall(pdus.associate_rq())
        assert pdus.read_pdu(leaving)[0] == 2
        assert _rejected(node.port) == (2, 3, 2)
        leaving.sendall(pdus.RELEASE_RQ)
        assert pdus.read_pdu(leaving)[0] == 6
        with sending(node.port):
            silent.sendall(pdus.associate_rq())
            assert pdus.read_pdu(silent)[0] == 3


def test_the_caps_of_a_peer_and_of_an_address_are_kept(tmp_path: Path) -> None:
    """Over the wire: what one has too much, another may still have."""
    peers = ({"ae_title": "CT1", "max_associations": 1}, {"ae_title": "MR1"})
    with receiving(tmp_path, peers=peers) as node, sending(node.port, calling="CT1"):
        assert _rejected(node.port, calling="CT1") == (2, 3, 2)
        with sending(node.port, calling="MR1"):
            pass
    with receiving(tmp_path, max_associations_per_address=1) as node, sending(node.port):
        assert _rejected(node.port) == (2, 3, 2)
        elsewhere = socket.create_connection(
            ("127.0.0.1", node.port), 100, source_address=("127.0.0.2", 0)
        )
        with elsewhere:
            elsewhere.sendall(pdus.associate_rq())
            assert pdus.read_pdu(elsewhere)[0] == 2


def test_an_unknown_called_title_hears_why(tmp_path: Path) -> None:
    """Over the wire, where it is required: called AE title not recognised."""
    with receiving(tmp_path, require_called_ae_title=True) as node:
        assert _rejected(node.port, called="SOMEONE") == (1, 1, 7)
        with sending(node.port):
            pass


def test_a_peers_preferred_syntax_is_taken(tmp_path: Path) -> None:
    """`syntaxes` of a peer goes before our own order."""
    j2k = "1.2.840.10008.1.2.4.91"
    peers = ({"ae_title": "CT1", "syntaxes": [j2k]},)
    with (
        receiving(tmp_path, peers=peers) as node,
        open_association(
            "127.0.0.1", node.port, "CT1", "DEIDNODE", [Proposal(1, CT, (EXPLICIT, j2k))]
        ) as association,
    ):
        assert association.contexts[1].transfer_syntax == j2k
