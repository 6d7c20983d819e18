"""Who may send: decided from the A-ASSOCIATE-RQ, before the association is accepted."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from node.config import NodeConfig, Peer
from node.upper_layer import AssociateRequest, Rejection
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


class Places:
    """The associations that are live now, counted in all, per peer and per address."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._all = 0
        self._by_title: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are live."""
        return self._all

    @contextmanager
    def take(self, peer: Peer | None, caller: Caller) -> Iterator[bool]:
        """Hold a place as long as the context lasts; False where there is none."""
        title = peer.ae_title if peer else ""
        with self._lock:
            free = (
                self._all < self._policy.max_associations
                and self._by_address[caller.address] < self._policy.max_per_address
                and (peer is None or self._by_title[title] < peer.max_associations)
            )
            if free:
                self._count(title, caller.address, 1)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._count(title, caller.address, -1)

    def _count(self, title: str, address: str, step: int) -> None:
        self._all += step
        for counter, key in ((self._by_title, title), (self._by_address, address)):
            counter[key] += step
            if not counter[key]:
                del counter[key]


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
