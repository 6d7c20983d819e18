"""What is wrong with a profile, told all at once."""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One mistake of a profile: where it stands and what is wrong.

    The configuration has one of its own; with it would come pydantic, which no worker needs.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ProfileError(Exception):
    """A profile cannot be used; `mistakes` holds all that is wrong with it."""

    def __init__(self, source: str, mistakes: list[Mistake]) -> None:
        super().__init__(f"{source}: {len(mistakes)} mistake(s)")
        self.source = source
        self.mistakes = mistakes
