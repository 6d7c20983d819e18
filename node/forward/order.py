"""Whose turn it is at a destination: what made trouble holds nobody else, and is not forgotten.

An instance may end each association that it is sent over, and a study may hold such a one for
ever. So a delivery that had trouble of its own goes alone, and when nobody else is due; and where
somebody else is always due, it has every fourth turn.
"""

from __future__ import annotations

import sqlalchemy as sa

from node.outbox import deliveries
from node.outbox.deliveries import Delivery

DUE_AT_ONCE = 100
#: So many turns in a row go to deliveries without trouble while others wait.
TURNS_IN_A_ROW = 3


class Order:
    """The order of turns at one destination."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def next(
        self, connection: sa.Connection, to: str, now: float, longest: float, *, probe: bool
    ) -> list[Delivery]:
        """Give what goes next, oldest release first; [] if nothing is due.

        A probe is one delivery, that which was left alone longest: should a destination break
        down at the mere sight of one, another is the next probe.
        """
        is_their_turn = self._in_a_row >= TURNS_IN_A_ROW
        many = 1 if probe else DUE_AT_ONCE
        found = deliveries.due(connection, to, now, longest, many, troubled_first=is_their_turn)
        if is_their_turn or (found and found[0].attempts):
            self._in_a_row = 0
        else:
            self._in_a_row += bool(found)
        if found and found[0].attempts:
            return found[:1]
        return [delivery for delivery in found if not delivery.attempts]
