"""What is agreed with a peer, over the wire: contexts, transfer syntaxes, roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.upper_layer import Proposal, RequestedAssociation, Status, open_association
from node.upper_layer.names import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PLAIN_SYNTAXES,
    STORAGE_COMMITMENT_PUSH,
    TRANSFER_SYNTAXES,
    storage_sop_classes,
)
from tests.receive.receiving import CT, ct, encoded, receiving

JPEG, JPEG_LS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 80, 91, 201))


def proposing(port: int, *proposals: Proposal) -> RequestedAssociation:
    """Open an association with these contexts."""
    return open_association("127.0.0.1", port, "CT1", "DEIDNODE", proposals)


def test_a_peer_may_propose_128_contexts_with_everything_in_each(tmp_path: Path) -> None:
    """As many as there are odd numbers in a byte (PS3.8 9.3.2.2); an instance comes in the last."""
    sop_classes = [*[name for name in storage_sop_classes() if name != CT][:127], CT]
    proposals = [
        Proposal(2 * number + 1, sop_class, TRANSFER_SYNTAXES[::-1])
        for number, sop_class in enumerate(sop_classes)
    ]
    sop_class, sop_instance, dataset = encoded(ct())
    with receiving(tmp_path) as node, proposing(node.port, *proposals) as association:
        assert sorted(association.contexts) == list(range(1, 256, 2))
        assert {context.transfer_syntax for context in association.contexts.values()} == {
            EXPLICIT_LITTLE
        }
        status = association.send_store(255, 1, sop_class, sop_instance, [dataset], len(dataset))
        assert status == Status.SUCCESS
        assert len(node.arrived) == 1


def test_every_storage_class_is_taken(tmp_path: Path) -> None:
    """All that pynetdicom knows, 128 at a time; and nothing is taken that is no Storage."""
    sop_classes = storage_sop_classes()
    with receiving(tmp_path) as node:
        for first in range(0, len(sop_classes), 128):
            proposals = [
                Proposal(2 * number + 1, sop_class, (IMPLICIT_LITTLE,))
                for number, sop_class in enumerate(sop_classes[first : first + 128])
            ]
            with proposing(node.port, *proposals) as association:
                assert not association.refused
        find = "1.2.840.10008.5.1.4.1.2.2.1"
        with proposing(node.port, Proposal(1, find, (IMPLICIT_LITTLE,))) as association:
            assert association.refused == {1: 3}


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ((JPEG, IMPLICIT_LITTLE, EXPLICIT_LITTLE), EXPLICIT_LITTLE),
        ((JPEG_LS, JPEG, IMPLICIT_LITTLE), IMPLICIT_LITTLE),
        ((JPEG_2000, JPEG, HTJ2K), HTJ2K),
        ((JPEG,), JPEG),
    ],
)
def test_the_simplest_syntax_that_loses_nothing_is_taken(
    tmp_path: Path, offered: tuple[str, ...], taken: str
) -> None:
    """Whatever stands first; each context is judged by itself; lossy only where alone."""
    proposals = (Proposal(1, CT, offered), Proposal(3, CT, (JPEG,)))
    with receiving(tmp_path) as node, proposing(node.port, *proposals) as association:
        assert association.contexts[1].transfer_syntax == taken
        assert association.contexts[3].transfer_syntax == JPEG


@pytest.mark.parametrize("roles", [(True, True), (False, True), (True, False)])
def test_a_role_is_ignored_for_storage_and_negotiated_for_commitment(
    tmp_path: Path, roles: tuple[bool, bool]
) -> None:
    """Unanswered, the default holds: the requestor is SCU. Who would commit to us is refused."""
    proposals = (
        Proposal(1, CT, (EXPLICIT_LITTLE,), *roles),
        Proposal(3, STORAGE_COMMITMENT_PUSH, PLAIN_SYNTAXES, *roles),
    )
    peers = ({"ae_title": "CT1", "commitment": True},)
    sop_class, sop_instance, dataset = encoded(ct())
    with receiving(tmp_path, peers=peers) as node, proposing(node.port, *proposals) as association:
        agreed = {
            context_id: (context.as_scu, context.as_scp)
            for context_id, context in association.contexts.items()
        }
        as_scu = {1: (True, False)}
        assert agreed == (as_scu | {3: (True, False)} if roles[0] else as_scu)
        assert association.refused == ({} if roles[0] else {3: 1})
        status = association.send_store(1, 1, sop_class, sop_instance, [dataset], len(dataset))
        assert status == Status.SUCCESS
