"""Clean Descriptors' vocabulary: words of anatomy and technique, and nobody's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.profile.tables import DATA
from node.profile.vocabulary import WORD, Standing, fold, standing

LISTS = {
    name: [
        line for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line[0] != "#"
    ]
    for name in ("vocabulary.txt", "also_names.txt")
}

#: Names frequent in several countries, titles, months, days and places.
NAMES = (
    "Smith Johnson Williams Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez "
    "Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez "
    "Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores "
    "Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Müller Schmidt Schneider "
    "Fischer Weber Meyer Wagner Becker Schulz Hoffmann Rossi Russo Ferrari Bianchi Dubois Durand "
    "Lefebvre Moreau Jansen Bakker Visser Smit Kumar Singh Patel Wang Chen Zhang Kim Park Tanaka "
    "James Mary John Robert Patricia Michael Linda William David Elizabeth Maria Anna Peter Paul "
    "Mr Mrs Ms. Dr Prof Herr Frau Mme Dr.med January February April June July August September "
    "October November December Monday Friday Hospital Clinic Klinikum Mayo Boston London Berlin "
    "born geboren aged year years old"
)


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_are_folded_sorted_and_disjoint(name: str) -> None:
    """A word that is not folded would never match."""
    words = LISTS[name]
    assert words == sorted(set(words))
    assert all(word == fold(word) and word.isalnum() for word in words)
    assert not set(LISTS["vocabulary.txt"]) & set(LISTS["also_names.txt"])


def test_the_vocabulary_is_large_enough_to_be_of_use() -> None:
    """Some thousand words of departments' daily descriptions."""
    assert len(LISTS["vocabulary.txt"]) > 2000


@pytest.mark.parametrize(
    "text",
    ["CHEST ABD PELVIS W CONTRAST 5mm", "AX T2 FLAIR 3.0 mm", "MRI BRAIN WO/W CONTRAST 1.5T",
     "L4-L5 sag T1", "Thorax 1.0 B70f", "ep2d_diff_b1000", "Schädel nativ", "CRÂNE sans contraste",
     "PET AC 3D", "LOCALIZER", "Portal venous phase"],
)  # fmt: skip
def test_usual_descriptions_have_no_unknown_word(text: str) -> None:
    """They come out whole, or nearly so."""
    unknown = [word for word in WORD.findall(text) if standing(word) is Standing.UNKNOWN]
    assert not [word for word in unknown if word not in ("ep2d", "diff")]


@pytest.mark.parametrize(
    "word",
    NAMES.split(),
)
def test_no_usual_name_title_month_or_place_is_safe(word: str) -> None:
    """A word that is also a name may be known, but never simply safe."""
    assert all(standing(part) is not Standing.SAFE for part in WORD.findall(word))


@pytest.mark.parametrize(
    "word", ["head", "Hand", "FOOT", "Neck", "Bone", "Heart", "Long", "Rao", "r"]
)
def test_what_is_a_name_as_well_is_marked_so(word: str) -> None:
    """It stays only among known words."""
    assert standing(word) is Standing.ALSO_NAME


@pytest.mark.parametrize(
    "text",
    ["19470319", "1947", "555", "93", "1947-03-19", "12.03.1947", "12.03", "555-1234", "0041",
     "MRN000001", "A12345", "b1947", "93Y", "1947er", "1.2.840.113619", "12345.678"],
)  # fmt: skip
def test_no_date_year_age_or_number_of_a_person_stays(text: str) -> None:
    """Some word of it is unknown, or numbers stand side by side, and then all of them go."""
    words = WORD.findall(text)
    found = [standing(word) for word in words]
    assert Standing.UNKNOWN in found or found.count(Standing.NUMBER) == len(words) > 1


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    """Every word has a standing, in whatever script."""
    for word in WORD.findall(text):
        assert standing(word) in Standing


@given(st.integers(100, 10**12).map(str))
def test_no_long_number_is_ever_known(number: str) -> None:
    """Three digits and more may be part of a number that identifies."""
    assert standing(number) is Standing.UNKNOWN
