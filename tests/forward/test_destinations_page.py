"""docs/destinations.md says what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from node.config.sections import Destination
from node.forward.batch import Reaction
from node.forward.senders import SENDERS

PAGE = (Path(__file__).parents[2] / "docs" / "destinations.md").read_text()


def test_every_type_of_the_configuration_can_be_sent_to_and_is_described() -> None:
    """A type is a section, a line in SENDERS and a paragraph."""
    union, _ = get_args(Destination)
    types = {each.model_fields["type"].annotation.__args__[0] for each in get_args(union)}
    assert types == set(SENDERS)
    assert all(f"**`{name}`**" in PAGE for name in types)


def test_every_reaction_is_described() -> None:
    """What an answer means stands in one table."""
    assert all(f"| `{reaction.name}` |" in PAGE for reaction in Reaction)
