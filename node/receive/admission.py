"""Who may send: decided from the A-ASSOCIATE-RQ, before the association is accepted."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from node.config import NodeConfig, Peer
from node.upper_layer import AssociateRequest, Association, Rejection
from node.upper_layer.codec import APPLICATION_CONTEXT


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from, as the connection shows it."""

    address: str
    is_tls: bool
    certificate_sha256: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration's rules of admission."""

    peers: tuple[Peer, ...]
    #: Empty: any called AE title is ours.
    called_ae_titles: frozenset[str]
    max_associations: int
    max_per_address: int


def policy_of(config: NodeConfig) -> Policy:
    """Read the rules from `[receive]` and the routes' literal called AE titles."""
    receive = config.receive
    called: frozenset[str] = frozenset()
    if receive.require_called_ae_title:
        titles = {route.called_ae_title for route in config.effective_routes}
        literal = {title for title in titles if not set("*?") & set(title)}
        called = frozenset(receive.ae_titles) | literal
    return Policy(
        peers=receive.peers,
        called_ae_titles=called,
        max_associations=receive.max_associations,
        max_per_address=receive.max_associations_per_address or receive.max_associations,
    )


def judge(request: AssociateRequest, caller: Caller, policy: Policy) -> Rejection | Peer | None:
    """Say who this is: a peer, or nobody in particular where none is configured; or reject."""
    if not request.protocol_version & 1:
        return Rejection.PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED
    if policy.called_ae_titles and request.called_ae_title not in policy.called_ae_titles:
        return Rejection.CALLED_AE_NOT_RECOGNISED
    return _identify(request, caller, policy) if policy.peers else None


def _identify(request: AssociateRequest, caller: Caller, policy: Policy) -> Rejection | Peer:
    named = [
        peer
        for peer in policy.peers
        if peer.ae_title == request.calling_ae_title and _is_in(caller.address, peer.networks)
    ]
    if not named:
        return Rejection.CALLING_AE_NOT_RECOGNISED
    for peer in named:
        if _proves_itself(caller, peer):
            return peer
    return Rejection.NO_REASON


@dataclass(slots=True)
class Place:
    """What an association takes of the limits, from its admission to its end."""

    ae_title: str
    address: str
    association: Association | None = None

    @property
    def is_live(self) -> bool:
        """False from the moment that the association's end is decided."""
        return self.association is None or not self.association.closing


class Places:
    """The associations that are live now, counted in all, per peer and per address."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._places: list[Place] = []

    @property
    def taken(self) -> int:
        """How many are live."""
        return sum(place.is_live for place in self._places)

    @contextmanager
    def take(self, peer: Peer | None, caller: Caller) -> Iterator[Place | None]:
        """Hold a place as long as the context and the association last; None if there is none."""
        place = Place(peer.ae_title if peer else "", caller.address)
        with self._lock:
            free = self._has_room_for(place, peer)
            if free:
                self._places.append(place)
        try:
            yield place if free else None
        finally:
            if free:
                with self._lock:
                    self._places = [other for other in self._places if other is not place]

    def _has_room_for(self, wanted: Place, peer: Peer | None) -> bool:
        live = [place for place in self._places if place.is_live]
        of_address = sum(place.address == wanted.address for place in live)
        of_peer = sum(place.ae_title == wanted.ae_title for place in live)
        return (
            len(live) < self._policy.max_associations
            and of_address < self._policy.max_per_address
            and (peer is None or of_peer < peer.max_associations)
        )


def _is_in(address: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in ipaddress.ip_network(network) for network in networks)


def _proves_itself(caller: Caller, peer: Peer) -> bool:
    if peer.certificate_sha256:
        return caller.certificate_sha256 == peer.certificate_sha256.lower()
    return caller.is_tls or not peer.tls_required
