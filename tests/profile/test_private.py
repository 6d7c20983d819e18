"""Private attributes: removed, but for Table E.3.10-1 under Retain Safe Private."""

from __future__ import annotations

import pytest

from node.profile import Option
from node.profile.tables import safe_private
from tests.profile.profiles import make_profile

BASIC = make_profile()
SAFE = make_profile(options={Option.RETAIN_SAFE_PRIVATE})


def test_every_row_of_the_safe_table_is_cleaned_under_the_option_and_else_removed() -> None:
    """All 479 rows, whatever the block; C, because safe is not "copy"."""
    assert len(safe_private()) == 479
    for (group, creator, element), vr in safe_private().items():
        usual = vr.split("/")[0] or "UN"
        for block in (0x10, 0xC3, 0xFF):
            number = block << 8 | element
            assert SAFE.private(group, creator, number, usual).code == "C"
            assert BASIC.private(group, creator, number, usual).code == "X"


@pytest.mark.parametrize(
    ("group", "creator", "element"),
    [
        (0x0019, "GEMS_ACQU_01", 0x99),  # not in the table
        (0x0021, "GEMS_ACQU_01", 0x24),  # another group
        (0x0019, "gems_acqu_01", 0x24),  # another creator
        (0x0019, "", 0x24),
        (0x0019, "GEMS", 0x24),
    ],
)
def test_a_private_attribute_that_is_not_listed_goes(
    group: int, creator: str, element: int
) -> None:
    """Creator, group and element must all match."""
    assert SAFE.private(group, creator, 0x1000 | element, "DS").code == "X"


def test_a_safe_number_that_comes_as_text_goes() -> None:
    """(0019,"GEMS_ACQU_01",24) is DS; as LO it may hold anything."""
    assert SAFE.private(0x0019, "GEMS_ACQU_01", 0x1024, "DS").code == "C"
    assert SAFE.private(0x0019, "GEMS_ACQU_01", 0x1024, "LO").code == "X"


def test_a_creators_padding_does_not_count() -> None:
    """Values are padded with a space, and by some with NUL."""
    for padded in ("GEMS_ACQU_01 ", "GEMS_ACQU_01\0"):
        assert SAFE.private(0x0019, padded, 0x1024, "DS").code == "C"
