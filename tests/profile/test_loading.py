"""Reading a profile: what is shipped, where one is sought, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.profile import (
    PIXEL_RULES,
    Mistake,
    Option,
    PixelAction,
    ProfileError,
    load_profile,
    profile_names,
)
from node.profile.actions import VERBS
from node.profile.sections import BASE, read_sections
from tests.profile.profiles import read_profile, write_profile


def mistakes_of(folder: Path, text: str) -> dict[str, str]:
    """Load a profile that has mistakes; each by its place."""
    with pytest.raises(ProfileError) as caught:
        load_profile(str(write_profile(folder, text)))
    return {mistake.path: mistake.message for mistake in caught.value.mistakes}


def test_basic_is_the_basic_profile_and_holds_every_risky_picture() -> None:
    """No option, and every pixel rule holds but the one that every head CT would meet."""
    basic = load_profile("basic")
    assert (basic.name, basic.base, basic.options, basic.domain) == ("basic", BASE, set(), "basic")
    assert basic.pixels.keys() == PIXEL_RULES.keys()
    assert {name for name, action in basic.pixels.items() if action is not PixelAction.HOLD} == {
        "recognizable-face"
    }


def test_research_keeps_what_imaging_trials_use() -> None:
    """Modified dates, characteristics, device, and everything cleaned; screens stay behind."""
    research = load_profile("research")
    assert research.options == set(Option) - {
        Option.RETAIN_UIDS,
        Option.RETAIN_INSTITUTION_IDENTITY,
        Option.RETAIN_LONGITUDINAL_FULL_DATES,
    }
    excluded = {name for name, action in research.pixels.items() if action is PixelAction.EXCLUDE}
    assert excluded == {"secondary-capture", "screen-save", "dose-screen"}
    assert research.domain != load_profile("basic").domain


def test_a_profile_with_nothing_but_its_base_has_every_default(tmp_path: Path) -> None:
    """Domain is the name, prefix P, all storage classes and modalities, every pixel rule."""
    profile = read_profile(tmp_path, "")
    assert (profile.name, profile.domain, profile.prefix) == ("site", "site", "P")
    assert profile.pixels == {name: action for name, (action, _) in PIXEL_RULES.items()}
    assert profile.accepts_modality("CT")
    assert profile.accepts_sop_class("1.2.840.10008.5.1.4.1.1.2")
    assert profile.lookup is None


def test_no_unknown_or_private_sop_class_is_taken_unless_it_is_named(tmp_path: Path) -> None:
    """A class in no list is refused; "*" with one more takes that one too."""
    assert not read_profile(tmp_path, "").accepts_sop_class("1.2.3.4")
    assert not read_profile(tmp_path, "").accepts_sop_class("1.2.840.10008.1.3.10")
    both = read_profile(tmp_path, '[accept]\nsop_classes = ["*", "1.2.3.4"]')
    assert both.accepts_sop_class("1.2.3.4")
    assert both.accepts_sop_class("1.2.840.10008.5.1.4.1.1.4")
    only = read_profile(tmp_path, '[accept]\nsop_classes = ["CTImageStorage"]\nmodalities = ["CT"]')
    assert only.accepts_sop_class("1.2.840.10008.5.1.4.1.1.2")
    assert not only.accepts_sop_class("1.2.840.10008.5.1.4.1.1.4")
    assert not only.accepts_modality("MR")


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """One run shows all there is to mend."""
    text = """
        base = "strict"
        options = ["retain-everything", "clean-pixel-data", 7, "retain-uids", "retain-uids",
                   "retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"]
        colour = "blue"
        [rules]
        PatientNam = "keep"
        "(0011,0010)" = "keep"
        PatientSex = "obliterate"
        [pseudonyms]
        prefix = "HOSPITAL"
        domain = "a domain"
        salt = "x"
        lookup = "absent.csv"
        [pixels]
        burned-in-annotations = "hold"
        ultrasound = "drop"
        [accept]
        sop_classes = ["CTImages"]
        modalities = []
        aets = ["X"]
    """
    assert mistakes_of(tmp_path, text).keys() == {
        "base", "options[0]", "options[1]", "options[2]", "options[4]", "options[6]", "colour",
        "rules.PatientNam", "rules.(0011,0010)", "rules.PatientSex",
        "pseudonyms.prefix", "pseudonyms.domain", "pseudonyms.salt", "pseudonyms.lookup",
        "pixels.burned-in-annotations", "pixels.ultrasound",
        "accept.sop_classes[0]", "accept.modalities", "accept.aets",
    }  # fmt: skip


@pytest.mark.parametrize("option", ["clean-pixel-data", "clean-recognizable-visual-features"])
def test_an_option_that_we_do_not_do_is_a_mistake(tmp_path: Path, option: str) -> None:
    """The marker would say that it was done."""
    message = mistakes_of(tmp_path, f'base = "basic"\noptions = ["{option}"]')["options[0]"]
    assert "does not do" in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('options = "retain-uids"', "options"),
        ("rules = 1", "rules"),
        ("pixels = []", "pixels"),
        ('accept = "CT"', "accept"),
        ("[accept]\nsop_classes = 'CT'", "accept.sop_classes"),
        ("[pseudonyms]\nprefix = 1", "pseudonyms.prefix"),
        ("[pseudonyms]\nlookup = 1", "pseudonyms.lookup"),
        ("[pixels]\nvideo = 1", "pixels.video"),
        ("[pixels]\nvideo = ['hold']", "pixels.video"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_mistake(tmp_path: Path, text: str, place: str) -> None:
    """Never a stack trace, whatever stands where a table or a list belongs."""
    assert place in mistakes_of(tmp_path, f'base = "basic"\n{text}')


def test_what_is_no_toml_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    """The file's own place is empty; the message says what is wrong."""
    assert "is not TOML" in mistakes_of(tmp_path, "base = ")[""]
    with pytest.raises(ProfileError) as caught:
        load_profile(str(tmp_path / "absent.toml"))
    assert "cannot be read" in str(caught.value.mistakes[0])
    with pytest.raises(ProfileError) as caught:
        load_profile("nobody")
    assert "known: basic, research" in str(caught.value.mistakes[0])


def test_a_sites_own_profile_is_found_beside_the_configuration_first(tmp_path: Path) -> None:
    """profiles/NAME.toml beside node.toml goes before the shipped one of the same name."""
    config = tmp_path / "node.toml"
    config.write_text("", encoding="utf-8")
    folder = tmp_path / "profiles"
    folder.mkdir()
    write_profile(folder, 'base = "basic"\n[pseudonyms]\ndomain = "ours"', name="basic")
    write_profile(folder, 'base = "basic"', name="trial")
    assert load_profile("basic", config).domain == "ours"
    assert load_profile("basic", tmp_path).domain == "ours"
    assert load_profile("basic").domain == "basic"
    assert load_profile("research", config).name == "research"
    assert load_profile("profiles/trial.toml", config).name == "trial"
    assert profile_names(config) == ["basic", "research", "trial"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*Option, *PIXEL_RULES, *VERBS, "*", "basic", "PatientSex", "(0010,0040)"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.text(max_size=6) | st.sampled_from(["action", "value", "PatientSex", "prefix", "video"]),
        inner,
        max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from(["base", "options", "rules", "pseudonyms", "pixels", "accept", "colour"])


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_stands_in_a_profile_is_read_or_told(raw: dict[str, object]) -> None:
    """Values of any kind in any place: mistakes with their places, and never a stack trace."""
    mistakes: list[Mistake] = []
    profile = read_sections({"base": "basic", **raw}, Path("site.toml"), mistakes)
    assert all(mistake.path and mistake.message for mistake in mistakes)
    if "colour" in raw:
        assert "colour" in {mistake.path for mistake in mistakes}
    assert profile.digest
