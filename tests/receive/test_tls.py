"""A TLS port beside the plain one: who is taken there, and who is taken at neither."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from node.upper_layer import (
    AssociationRejected,
    Proposal,
    Rejection,
    Status,
    UpperLayerError,
    client_context,
    open_association,
    server_context,
)
from tests.ports import free_port
from tests.receive.committing import COMMIT, PROPOSALS, TRANSACTION, a_peers_listener
from tests.receive.receiving import (
    CT,
    EXPLICIT,
    Receiving,
    ct,
    receiving,
    send,
    sending,
    wait_until,
)
from tests.upper_layer.certificates import Certificates


@dataclass
class Secured:
    """A node with two ports, and what its peers need."""

    node: Receiving
    port: int
    certificates: Certificates

    def send(self, context: ssl.SSLContext, calling: str = "CT1") -> int:
        """Send an image over TLS and give the status."""
        proposals = [Proposal(1, CT, (EXPLICIT,))]
        with open_association(
            "127.0.0.1", self.port, calling, "DEIDNODE", proposals, tls=context
        ) as association:
            return send(association, ct())


@contextmanager
def secured(folder: Path, certificates: Certificates, **receive: Any) -> Iterator[Secured]:
    """Receive on a plain and on a TLS port while the block runs."""
    port = free_port()
    certificate, key = certificates.issue("node", "127.0.0.1")
    tls = {
        "port": port,
        "certificate": certificate,
        "private_key": key,
        "client_ca": certificates.ca,
    }
    with receiving(folder, tls=tls, **receive) as node:
        yield Secured(node, port, certificates)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Give a certificate authority in a folder of its own."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Certificates(folder, trustme.CA())


def _context(certificates: Certificates, name: str) -> tuple[ssl.SSLContext, str]:
    """Give the context of a peer with a certificate of its own, and the certificate's SHA-256."""
    chain, key = certificates.issue(name, f"{name}.hospital.example")
    der = ssl.PEM_cert_to_DER_cert(chain.read_text())
    return client_context(certificates.ca, chain, key), hashlib.sha256(der).hexdigest()


def _rejection(told: AssociationRejected) -> tuple[int, int, int]:
    return told.result, told.source, told.reason


def test_both_ports_serve(tmp_path: Path, certificates: Certificates) -> None:
    """A modality that cannot TLS is taken at the plain one, where no peer must use TLS."""
    context, _ = _context(certificates, "ct1")
    with secured(tmp_path, certificates) as both:
        assert both.send(context) == Status.SUCCESS
        with sending(both.node.port) as association:
            assert send(association, ct()) == Status.SUCCESS
        assert len(both.node.arrived) == 2


def test_a_pinned_peer_is_taken_with_its_certificate_only(
    tmp_path: Path, certificates: Certificates
) -> None:
    """Not with another one of the same authority, not in the clear; others are not pinned to it."""
    own, digest = _context(certificates, "ct1")
    other, _ = _context(certificates, "mr1")
    peers = ({"ae_title": "CT1", "certificate_sha256": digest.upper()}, {"ae_title": "MR1"})
    with secured(tmp_path, certificates, peers=peers) as both:
        assert both.send(own) == Status.SUCCESS
        with pytest.raises(AssociationRejected) as told:
            both.send(other)
        assert _rejection(told.value) == Rejection.NO_REASON.value
        with pytest.raises(AssociationRejected) as told, sending(both.node.port):
            pass
        assert _rejection(told.value) == Rejection.NO_REASON.value
        assert both.send(other, "MR1") == Status.SUCCESS
        assert len(both.node.arrived) == 2


@pytest.mark.parametrize("whose", ["nobody's", "another authority's"])
def test_without_a_certificate_of_the_authority_no_association_begins(
    tmp_path: Path, certificates: Certificates, whose: str
) -> None:
    """Whoever it says that it is; and it takes no place."""
    context = client_context(certificates.ca)
    if whose != "nobody's":
        stranger = Certificates(certificates.folder, trustme.CA())
        context.load_cert_chain(*stranger.issue("stranger", "ct1.hospital.example"))
    with secured(tmp_path, certificates) as both:
        with pytest.raises(UpperLayerError) as told:
            both.send(context)
        assert not isinstance(told.value, AssociationRejected)
        assert wait_until(lambda: both.node.receiver.places.taken == 0)
        assert not both.node.arrived


@pytest.mark.parametrize("bound", ["by itself", "by the node, whose plain port is closed"])
def test_a_peer_that_must_use_tls_hears_of_its_commitment_over_tls(
    tmp_path: Path, certificates: Certificates, bound: str
) -> None:
    """A report names original UIDs: they do not go in the clear where images may not come so."""
    itself = bound == "by itself"
    plain = {} if itself else {"port": 0}
    context, _ = _context(certificates, "ct1")
    theirs = server_context(*certificates.issue("listener", "127.0.0.1"), certificates.ca)
    facts = {"tls_required": itself, "host": "127.0.0.1", "port": free_port()}
    peers = ({"ae_title": "CT1", "commitment": True, **facts},)
    with (
        secured(tmp_path, certificates, peers=peers, **plain) as both,
        a_peers_listener(facts["port"], theirs) as heard,
    ):
        with open_association(
            "127.0.0.1", both.port, "CT1", "DEIDNODE", PROPOSALS, tls=context
        ) as association:
            assert association.request_commitment(COMMIT, 1, TRANSACTION, [(CT, "1.2.3")]) == 0
        assert wait_until(lambda: bool(heard.results))
        assert [uid for uid, _ in heard.results[0].failed] == ["1.2.3"]


def test_an_instance_that_breaks_off_over_tls_leaves_nothing(
    tmp_path: Path, certificates: Certificates
) -> None:
    """As in the clear."""
    context, _ = _context(certificates, "ct1")
    with secured(tmp_path, certificates) as both:
        proposals = [Proposal(1, CT, (EXPLICIT,))]
        association = open_association(
            "127.0.0.1", both.port, "CT1", "DEIDNODE", proposals, tls=context
        )

        def breaks() -> Iterator[bytes]:
            yield bytes(300_000)
            assert wait_until(lambda: any(path.suffix == ".part" for path in both.node.spooled))
            raise InterruptedError

        with pytest.raises(InterruptedError), association:
            association.send_store(1, 1, CT, "1.2.3", breaks(), 10**6)
        assert wait_until(lambda: not both.node.spooled)
        assert not both.node.arrived
