"""What we take: SOP classes and, for each, transfer syntaxes in our order of preference."""

from __future__ import annotations

from functools import lru_cache

from node.config import Peer, Receive
from node.upper_layer import Supported
from node.upper_layer.names import (
    PLAIN_SYNTAXES,
    STORAGE_COMMITMENT_PUSH,
    TRANSFER_SYNTAXES,
    VERIFICATION,
    storage_sop_classes,
)


def contexts_for(receive: Receive, peer: Peer | None) -> tuple[Supported, ...]:
    """Give what this peer may propose with success."""
    if peer is None:
        return supported_contexts(receive.private_sop_classes)
    return supported_contexts(receive.private_sop_classes, peer.syntaxes, peer.commitment)


@lru_cache(maxsize=256)
def supported_contexts(
    private_sop_classes: tuple[str, ...] = (),
    preferred: tuple[str, ...] = (),
    commitment: bool = False,
) -> tuple[Supported, ...]:
    """Give every Storage SOP class, the configured private ones, Verification, and commitment.

    `preferred` transfer syntaxes come first; then Explicit and Implicit VR Little Endian, lossless
    ones, and lossy ones last, so that those are taken only if nothing else is offered.
    """
    syntaxes = tuple(dict.fromkeys((*preferred, *TRANSFER_SYNTAXES)))
    # No role is set: role selection stays unanswered for Storage, the requestor is SCU.
    sop_classes = dict.fromkeys((*storage_sop_classes(), *private_sop_classes))
    contexts = [Supported(VERIFICATION, PLAIN_SYNTAXES)]
    contexts += [Supported(sop_class, syntaxes) for sop_class in sop_classes]
    if commitment:
        # PS3.4 J.3.3: who asks is the SCU; nobody reports to us here.
        contexts.append(
            Supported(STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES, scu_role=True, scp_role=False)
        )
    return tuple(contexts)
