"""The real command takes seconds to start, and a loaded machine takes longer."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every acceptance test five minutes before it counts as hung."""
    for item in items:
        if item.get_closest_marker("acceptance") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
