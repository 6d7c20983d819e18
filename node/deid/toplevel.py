"""The top level of a data set, stretch by stretch, with our own elements put in their places."""

from __future__ import annotations

from bisect import bisect_left

from node.deid import private
from node.deid.element import Element
from node.deid.reader import Instance, Stretch
from node.deid.rebuild import Plan, apply, rebuild
from node.deid.treatment import Treatment
from node.deid.writer import Piece


def rewrite(
    instance: Instance, plan: Plan, treatment: Treatment, ours: list[tuple[int, bytes]]
) -> list[Piece]:
    """Give the pieces of the new data set, up to the pixel data.

    `ours` are elements by tag, ascending: each stands in its place, and instead of the source's.
    """
    if plan.keeps_private:
        treatment.privates = private.survivors(treatment, plan, _privates(instance))
    pieces: list[Piece] = []
    waiting = list(reversed(ours))
    for stretch in instance.stretches:
        elements = stretch.elements
        tags = [element[0] for element in elements]
        done = 0
        while waiting and waiting[-1][0] <= tags[-1]:
            tag, element = waiting.pop()
            at = bisect_left(tags, tag)
            _rewrite_run(instance, plan, treatment, stretch, elements[done:at], pieces)
            pieces.append(element)
            done = at + (tags[at] == tag)
        _rewrite_run(instance, plan, treatment, stretch, elements[done:], pieces)
    return pieces + [element for _, element in reversed(waiting)]


def _rewrite_run(
    instance: Instance,
    plan: Plan,
    treatment: Treatment,
    stretch: Stretch,
    elements: list[Element],
    pieces: list[Piece],
) -> None:
    if not elements:
        return
    last = elements[-1]
    if last[4] <= len(stretch.buffer):
        rebuild(stretch.buffer, elements, plan, treatment, pieces)
        return
    rebuild(stretch.buffer, elements[:-1], plan, treatment, pieces)
    step = plan[last[1]]
    if step is None:
        pieces.append((stretch.base + last[2], last[4] - last[2]))
    elif isinstance(step, bytes):
        pieces.append(step)
    else:
        pieces.append(apply(step, treatment, plan, *instance.in_buffer(stretch, last)))


def _privates(instance: Instance) -> list[tuple[bytes, Element]]:
    return [
        instance.in_buffer(stretch, element)
        for stretch in instance.stretches
        for element in stretch.elements
        if element[0] >> 16 & 1
    ]
