"""The answer to a person whose decision cannot be applied."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 -- an answer to a person
    """The decision cannot be applied; the text says why."""
