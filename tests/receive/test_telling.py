"""A stranger cannot fill the log."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from node.receive import telling
from node.receive.telling import Telling


def test_a_flood_is_counted_rather_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is told, then so many lines a second; the next line says what is missing."""
    now = [100.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    with capture_logs() as said:
        tells = Telling()
        for _ in range(1000):
            tells.warn("association_rejected", reason="flood")
        assert len(said) == 200
        now[0] += 2
        for _ in range(100):
            tells.warn("association_rejected", reason="flood")
    assert len(said) == 240
    assert said[200]["untold"] == 800
    assert "untold" not in said[201]
