"""docs/profiles.md: the page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from node.profile import PIXEL_RULES, Option, load_profile
from node.profile.actions import NOT_DONE, VERBS
from tests.profile.profiles import write_profile

PAGE = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


def test_the_page_names_every_option_and_every_action() -> None:
    """Those that we do not do, too."""
    for name in (*Option, *NOT_DONE, *VERBS):
        assert f"`{name}`" in PAGE, name


def test_the_page_tells_every_pixel_rule_with_what_both_profiles_do() -> None:
    """Row by row: the rule, its meaning, basic, research."""
    basic, research = load_profile("basic"), load_profile("research")
    for name, (_, meaning) in PIXEL_RULES.items():
        assert f"| `{name}` | {meaning} | {basic.pixels[name]} | {research.pixels[name]} |" in PAGE


def test_the_pages_example_is_a_profile(tmp_path: Path) -> None:
    """It loads as it stands, once its lookup is there."""
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    (tmp_path / "patients.csv").write_text("patient_id,issuer,pseudonym\n", encoding="utf-8")
    profile = load_profile(str(write_profile(tmp_path, example[1])))
    assert (profile.domain, profile.prefix) == ("liver-trial", "LT")
    assert profile.retains[-2:] == ("rule:DeviceSerialNumber", 'rule:(0019,"GEMS_ACQU_01",24)')
