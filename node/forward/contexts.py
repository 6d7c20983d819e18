"""Presentation contexts for what a batch holds: a SOP class in one transfer syntax each.

One syntax per context, so that the destination cannot choose another than the file is in. An
association has room for 128 contexts (PS3.8 9.3.2.2); what needs more goes over several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from node.forward.batch import Item
from node.upper_layer import Proposal

MAX_CONTEXTS = 128
_USER_REJECTION, _NO_REASON, _ABSTRACT_SYNTAX, _TRANSFER_SYNTAXES = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Group:
    """Items that fit one association's contexts."""

    proposals: tuple[Proposal, ...]
    items: tuple[Item, ...]


def group(items: Sequence[Item]) -> list[Group]:
    """Cut items into groups of at most 128 pairs of class and syntax, in the order they come in."""
    pairs = list(dict.fromkeys((item.sop_class_uid, item.transfer_syntax_uid) for item in items))
    groups = []
    for start in range(0, len(pairs), MAX_CONTEXTS):
        some = pairs[start : start + MAX_CONTEXTS]
        wanted = set(some)
        groups.append(
            Group(
                tuple(
                    Proposal(2 * number + 1, sop_class, (syntax,))
                    for number, (sop_class, syntax) in enumerate(some)
                ),
                tuple(
                    item
                    for item in items
                    if (item.sop_class_uid, item.transfer_syntax_uid) in wanted
                ),
            )
        )
    return groups


def refusal(item: Item, proposed: Group, refused: Mapping[int, int]) -> str:
    """Say why an item's context was refused, and name the cure.

    `refused` is the peer's result (PS3.8 Table 9-18) by context id.
    """
    pair = (item.sop_class_uid, item.transfer_syntax_uid)
    result = next(
        (
            refused.get(proposal.context_id, 0)
            for proposal in proposed.proposals
            if (proposal.abstract_syntax, proposal.transfer_syntaxes[0]) == pair
        ),
        0,
    )
    sop_class = UID(item.sop_class_uid).name
    syntax = UID(item.transfer_syntax_uid).name
    if result == _TRANSFER_SYNTAXES:
        return (
            f"the destination takes {sop_class} but not in {syntax}: name a syntax that it takes "
            'in its section of the configuration, for example syntaxes = ["1.2.840.10008.1.2.1"], '
            "and requeue the study"
        )
    if result == _ABSTRACT_SYNTAX:
        return (
            f"the destination does not take {sop_class}: enable it there, or leave the class out "
            "by the profile's [accept]"
        )
    return f"the destination refused {sop_class} in {syntax} without a reason: look at its log"
