"""What we take: SOP classes and, for each, transfer syntaxes in our order of preference."""

from __future__ import annotations

from node.config import Receive
from node.upper_layer import Supported
from node.upper_layer.names import (
    PLAIN_SYNTAXES,
    TRANSFER_SYNTAXES,
    VERIFICATION,
    storage_sop_classes,
)


def supported_contexts(receive: Receive, preferred: tuple[str, ...] = ()) -> tuple[Supported, ...]:
    """Give every Storage SOP class, the configured private ones, and Verification.

    `preferred` transfer syntaxes come first; then Explicit and Implicit VR Little Endian, lossless
    ones, and lossy ones last, so that those are taken only if nothing else is offered.
    """
    syntaxes = tuple(dict.fromkeys((*preferred, *TRANSFER_SYNTAXES)))
    # No role is set: role selection stays unanswered for Storage, the requestor is SCU.
    storage = dict.fromkeys((*storage_sop_classes(), *receive.private_sop_classes))
    return (
        Supported(VERIFICATION, PLAIN_SYNTAXES),
        *(Supported(sop_class, syntaxes) for sop_class in storage),
    )
