"""What we do about each status of a C-STORE response: PS3.7 Annex C and PS3.4 Table B.2-1."""

from __future__ import annotations

from dataclasses import dataclass

from node.forward.batch import Reaction


@dataclass(frozen=True, slots=True)
class Outcome:
    """A range of statuses, its meaning in the standard, and our reaction."""

    first: int
    last: int
    meaning: str
    reaction: Reaction


DUPLICATE_SOP_INSTANCE = 0x0111
SUCCESS = Outcome(0x0000, 0x0000, "success", Reaction.STORED)
UNKNOWN = "status unknown to the standard"

OUTCOMES = (
    SUCCESS,
    # warnings: the destination has the instance, and changed or doubted something
    Outcome(0x0107, 0x0107, "attribute list error", Reaction.STORED),
    Outcome(0x0116, 0x0116, "attribute value out of range", Reaction.STORED),
    Outcome(0xB000, 0xB000, "coercion of data elements", Reaction.STORED),
    Outcome(0xB006, 0xB006, "elements discarded", Reaction.STORED),
    Outcome(0xB007, 0xB007, "data set does not match SOP class (warning)", Reaction.STORED),
    # may pass
    Outcome(0x0110, 0x0110, "processing failure", Reaction.RETRY),
    Outcome(0x0210, 0x0210, "duplicate invocation", Reaction.RETRY),
    Outcome(0x0213, 0x0213, "resource limitation", Reaction.RETRY),
    Outcome(0xA700, 0xA7FF, "out of resources", Reaction.RETRY),
    # will not pass
    Outcome(0x0117, 0x0117, "invalid SOP instance", Reaction.REFUSE),
    Outcome(0x0122, 0x0122, "SOP class not supported", Reaction.REFUSE),
    Outcome(0x0211, 0x0211, "unrecognized operation", Reaction.REFUSE),
    Outcome(0x0212, 0x0212, "mistyped argument", Reaction.REFUSE),
    Outcome(0xA900, 0xA9FF, "data set does not match SOP class", Reaction.REFUSE),
    # about us, not about the instance
    Outcome(0x0124, 0x0124, "not authorized", Reaction.SUSPEND),
    # anything may be behind it
    Outcome(0xC000, 0xCFFF, "cannot understand", Reaction.THREE_TRIES),
)


def outcome_of(status: int, *, sent_before: bool) -> Outcome:
    """Give the outcome of a status.

    A duplicate is stored if we sent these same bytes before: their first answer was lost. If we
    did not, somebody else's instance lies there under our UID, and a person must look.
    """
    if status == DUPLICATE_SOP_INSTANCE:
        reaction = Reaction.STORED if sent_before else Reaction.REFUSE
        return Outcome(status, status, "duplicate SOP instance", reaction)
    for outcome in OUTCOMES:
        if outcome.first <= status <= outcome.last:
            return outcome
    return Outcome(status, status, UNKNOWN, Reaction.THREE_TRIES)


def describe(status: int, outcome: Outcome) -> str:
    """Say a status as people look for it: `A700H out of resources`; success is not worth a word."""
    return "" if outcome is SUCCESS else f"{status:04X}H {outcome.meaning}"
