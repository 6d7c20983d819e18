"""The law of tokens: a real match is not lost, and chance is called chance."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from node.profile.recipe import Recipe
from node.validate import Severity, words
from tests.factories import make_instance
from tests.validate.conftest import Prove, severities


@pytest.mark.parametrize(
    "text",
    [
        "20200704", "2020-07-04", "2020.07.04", "2020/7/4", "4.7.2020", "04/07/2020", "07/04/2020",
        "04/07/20", "4 July 2020", "4th July, 2020", "July 4, 2020", "04-JUL-2020", "4. Juli 2020",
        "20200704101112", "seen 04.07.2020 at noon", "04072020", "07042020", "040720", "200704",
        "04JUL2020", "2020JUL04", "2020_07_04", "07_04_2020", "04/Jul/2020", "04:07:2020",
        "4.VII.2020", "4 juillet 2020", "2020-7-4", "4/7/20", "seen 7/4/20",
    ],
)  # fmt: skip
def test_a_date_is_found_in_its_usual_spellings(text: str) -> None:
    """Whatever the order of day and month."""
    assert "20200704" in words.dates(text)


@pytest.mark.parametrize("text", ["2020-186", "2020186", "day 186: 2020.186", "2020/186"])
def test_a_date_is_found_by_the_day_of_its_year(text: str) -> None:
    """As plans and file names have it."""
    assert words.ordinal_dates(text) == {"20200704"}


@pytest.mark.parametrize("text", ["2020000", "2020367", "12020186", "20201860", "1.2020186"])
def test_other_numbers_are_no_days_of_a_year(text: str) -> None:
    """A year has 366 days, and a longer number is another number."""
    assert "20200704" not in words.ordinal_dates(text)


def test_a_kept_text_with_the_day_of_a_year_is_looked_at(prove: Prove, basic: Recipe) -> None:
    """It may be chance, so it is no leak."""
    dataset = make_instance()
    dataset.Manufacturer = "Imaginary 2020-186"
    dataset.StudyDate = "20200704"
    assert severities(prove(basic, dataset)) == {Severity.HOLD}


@pytest.mark.parametrize(
    ("keyword", "number"),
    [("TableSpeed", 77665544.0), ("ReferencePixelX0", 77665544), ("SpacingBetweenSlices", 0)],
)
def test_a_binary_number_that_is_an_id_is_looked_at(
    prove: Prove, basic: Recipe, keyword: str, number: float
) -> None:
    """As FD and SL, alone or among others; zero is nobody's."""
    dataset = make_instance()
    dataset.PatientID = "0077665544"
    setattr(dataset, keyword, number)
    assert (Severity.HOLD in severities(prove(basic, dataset))) == bool(number)


@pytest.mark.parametrize("text", ["2020", "12 of 20", "T1 T2", "120200704", "202007041"])
def test_other_numbers_are_no_dates(text: str) -> None:
    """A bare year says little, and a longer number is another number."""
    assert "20200704" not in words.dates(text)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Müller^Jürgen", "MUELLER"), ("Müller^Jürgen", "muller"), ("Mueller", "mueller"),
        ("O'Brien^Pat", "OBrien"), ("Smith-Jones", "smithjones"), ("Smith-Jones", "Jones"),
        ("QX-7741982", "7741982"), ("QX-7741982", "qx7741982"), ("Østergård", "oestergaard"),
        ("Sørensen^Bjørg", "SORENSEN"), ("Wałęsa", "walesa"),
        ("山田^太郎", "山田"),
    ],
)  # fmt: skip
def test_a_name_is_found_however_it_is_written(name: str, written: str) -> None:
    """Case, accents, umlauts, hyphens and apostrophes do not hide a name."""
    assert words.words(written) & words.secret_words(name)


@pytest.mark.parametrize("text", ["UNKNOWN^UNKNOWN", "Anonymous", "none"])
def test_words_for_nobody_are_no_secrets(text: str) -> None:
    """A name that names nobody cannot leak."""
    assert words.secret_words(text) - {"unknownunknown"} == frozenset()


def test_a_patient_named_chest_is_a_finding_that_explains_itself(
    prove: Prove, basic: Recipe
) -> None:
    """The code CHEST is kept; somebody must look, and is told that it may be chance."""
    dataset = make_instance()
    dataset.PatientName = "Chest^Ada"
    dataset.BodyPartExamined = "CHEST"
    verdict = prove(basic, dataset)
    assert severities(verdict) == {Severity.HOLD}
    (finding,) = verdict.findings
    assert finding.path == "(0018,0015)"
    assert "chance" in finding.explanation
    assert "chest" not in finding.explanation.lower()


@pytest.mark.parametrize("name", ["CT^PHANTOM", "Li^Xu", "M^O", "1"])
def test_short_names_do_not_hold_a_study(prove: Prove, basic: Recipe, name: str) -> None:
    """A patient CT in a CT study: noted at most."""
    dataset = make_instance()
    dataset.PatientName = name
    assert severities(prove(basic, dataset)) <= {Severity.NOTE}


@pytest.mark.parametrize("patient_id", ["1", "12", "100", "512"])
def test_short_ids_do_not_hold_a_study(prove: Prove, basic: Recipe, patient_id: str) -> None:
    """A Patient ID like a matrix size is met everywhere."""
    dataset = make_instance()
    dataset.PatientID = patient_id
    assert severities(prove(basic, dataset)) <= {Severity.NOTE}


def test_a_name_in_a_kept_text_is_a_leak(prove: Prove, basic: Recipe) -> None:
    """The profile keeps the model's name; the patient's name in it is not the model's."""
    dataset = make_instance()
    dataset.WindowCenterWidthExplanation = "for Quillfeather1"
    assert Severity.LEAK in severities(prove(basic, dataset))


def test_a_hospital_that_shares_a_word_with_the_scanner_is_only_noted(
    prove: Prove, basic: Recipe
) -> None:
    """Imaginary Systems may well run a hospital."""
    dataset = make_instance()
    dataset.InstitutionName = "Imaginary General"
    assert severities(prove(basic, dataset)) == {Severity.NOTE}


def test_no_finding_says_a_value(prove: Prove, basic: Recipe) -> None:
    """Findings go into the log and to the web page: they hold nothing of the original."""
    dataset = make_instance()
    dataset.WindowCenterWidthExplanation = "for Quillfeather1 born 1947-03-19"
    said = repr(prove(basic, dataset).findings).lower()
    assert "quillfeather" not in said
    assert "1947" not in said


KEPT = "WindowCenterWidthExplanation"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Lee^Kim", "KIM LEE"), ("Ng^Jo", "Dr NG JO"), ("Lee^Kim", "leekim"), ("Lee^Ann", "of Lee"),
    ],
)  # fmt: skip
def test_a_short_name_in_a_kept_text_is_looked_at(
    prove: Prove, basic: Recipe, name: str, text: str
) -> None:
    """Two short words of one name, or three letters that nobody knows, are worth a look."""
    dataset = make_instance()
    dataset.PatientName = name
    setattr(dataset, KEPT, text)
    assert {Severity.HOLD, Severity.LEAK} & severities(prove(basic, dataset))


@pytest.mark.parametrize("text", ["MRN 000 777", "MRN-000-777", "of 000777", "mrn_000777"])
def test_separators_do_not_hide_an_id(prove: Prove, basic: Recipe, text: str) -> None:
    """An ID in groups is the ID."""
    dataset = make_instance()
    dataset.PatientID = "MRN000777"
    setattr(dataset, KEPT, text)
    assert {Severity.HOLD, Severity.LEAK} & severities(prove(basic, dataset))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("AcquisitionNumber", "77665544"), ("AcquisitionNumber", "19470319"),
     ("SliceThickness", "77665544.0"), ("SliceThickness", "7.7665544e7"),
     ("CodingSchemeUID", "1.2.77665544.19470319")],
)  # fmt: skip
def test_a_kept_number_that_is_an_id_or_a_date_is_looked_at(
    prove: Prove, basic: Recipe, keyword: str, value: str
) -> None:
    """Devices do write the patient's number into series and acquisition numbers."""
    dataset = make_instance()
    dataset.PatientID = "0077665544"
    item = Dataset()
    setattr(item, keyword, value)
    dataset.ExposureDoseSequence = [item]
    assert Severity.HOLD in severities(prove(basic, dataset))


def test_a_study_uid_as_coding_scheme_is_a_leak(prove: Prove, basic: Recipe) -> None:
    """UIDs that define something are kept; an instance's UID defines nothing."""
    dataset = make_instance()
    item = Dataset()
    item.CodingSchemeUID = dataset.StudyInstanceUID
    dataset.CodingSchemeIdentificationSequence = [item]
    assert Severity.LEAK in severities(prove(basic, dataset))


def test_an_unknown_word_of_a_hospital_in_a_code_is_looked_at(prove: Prove, basic: Recipe) -> None:
    """Grimsborough is no image type."""
    dataset = make_instance()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "GRIMSBOROUGH"]
    assert Severity.HOLD in severities(prove(basic, dataset))


@pytest.mark.parametrize(
    ("declared", "name", "text"),
    [
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎", "患者山田太郎様"),
        ("GB18030", "Wang^XiaoMing=王^小明", "患者王小明右膝"),
        ("GBK", "Wang^XiaoMing=王^小明", "患者王小明右膝"),
        ("ISO_IR 192", "Wang^XiaoMing=王^小明", "患者王小明右膝"),
    ],
)
def test_a_name_in_a_script_without_spaces_is_found(
    prove: Prove, basic: Recipe, declared: str, name: str, text: str
) -> None:
    """In Chinese and Japanese text a name is no word of its own."""
    dataset = make_instance()
    dataset.SpecificCharacterSet = declared.split("\\") if "\\" in declared else declared
    dataset.PatientName = name
    setattr(dataset, KEPT, text)
    assert Severity.LEAK in severities(prove(basic, dataset))
