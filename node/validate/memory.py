"""What was proven of one instance of a series holds for the next where not a byte of it differs.

Instances of a series share most attributes. One that was judged and searched without a finding is
remembered by its original and its output value, under all else that the judgement depends on
(`Grounds`). UIDs are not among the grounds, since each instance has its own: they are searched for
in every byte of every header, and where a secret is found there nothing remembered counts.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from node.profile.recipe import Recipe
from node.validate import charset, words
from node.validate.elements import Element
from node.validate.places import Place
from node.validate.reader import Parsed
from node.validate.results import Patient
from node.validate.search import is_settled
from node.validate.secrets import TEXT, Secrets
from node.validate.structure import SOP_CLASS_UID

_MOST_GROUNDS, _MOST_ATTRIBUTES = 16, 4096
#: Bytes; longer values are not kept.
_LONGEST = 1 << 15

#: Tag, VR and value, of the original and of the output; None where the attribute is absent.
Half = tuple[int, str, bytes] | None
Key = tuple[Half, Half]


class Grounds(NamedTuple):
    """What the judgement of an attribute depends on beside its two values."""

    patient: Patient
    issuer: str
    sop_class_uid: bytes
    syntaxes: tuple[str, str]
    charsets: tuple[tuple[str, ...], tuple[str, ...]]
    attributes: tuple[tuple[int, ...], tuple[int, ...]]
    secrets: tuple[frozenset[object], ...]


class Step(NamedTuple):
    """An attribute that was judged, and how many findings and places there were before it."""

    key: Key
    findings: int
    places: int


def key_of(before: Element | None, after: Element | None) -> Key:
    """Give what an attribute is remembered by."""
    return before and before[:3], after and after[:3]


@dataclass(slots=True)
class Memory:
    """What was proven under the last grounds of the last recipe."""

    recipe: Recipe | None = None
    proven: dict[Grounds, set[Key]] = field(default_factory=dict)

    def of(self, recipe: Recipe, grounds: Grounds) -> set[Key]:
        """Give what was proven on these grounds, to be looked up and added to."""
        if self.recipe is not recipe or len(self.proven) >= _MOST_GROUNDS:
            self.recipe = recipe
            self.proven.clear()
        return self.proven.setdefault(grounds, set())


def grounds_of(
    source: Parsed, output: Parsed, patient: Patient, issuer: str,
    charsets: tuple[tuple[str, ...], tuple[str, ...]], secrets: Secrets,
) -> Grounds:  # fmt: skip
    """Give the grounds on which an instance's attributes are judged."""
    odd = frozenset(uid for uid in secrets.uids if words.uids(uid) != {uid})
    return Grounds(
        patient, issuer, source.dataset.value(SOP_CLASS_UID), (source.syntax, output.syntax),
        charsets, (tuple(source.dataset.by_tag), tuple(output.dataset.by_tag)),
        (frozenset(secrets.words.items()), frozenset(secrets.dates), frozenset(secrets.compact),
         odd),
    )  # fmt: skip


def learn(
    proven: set[Key], steps: Sequence[Step], places: Sequence[Place], loud: Container[int]
) -> None:
    """Remember the attributes that nothing was found about.

    Parameters
    ----------
    steps
        What was judged, and at its end a step of no attribute.
    loud
        Which of the places the search found something in.
    """
    for step, following in pairwise(steps):
        if len(proven) >= _MOST_ATTRIBUTES:
            return
        before, after = step.key
        if step.findings != following.findings or _is_long(before) or _is_long(after):
            continue
        within = range(step.places, following.places)
        if all(at not in loud and is_settled(places[at]) for at in within) and not _says_uid(
            before
        ):
            proven.add(step.key)


def _is_long(half: Half) -> bool:
    return half is not None and len(half[2]) > _LONGEST


def _says_uid(before: Half) -> bool:
    """Tell whether a text says a UID: it is cleaned where that is the instance's own."""
    return (
        before is not None and before[1] in TEXT
        and bool(words.uids(charset.decode(before[2], ("",))))
    )  # fmt: skip
