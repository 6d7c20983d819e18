"""Text: in every character set, cleaned to known words, and dates in every shape."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.deid import Quarantined, charset, clean, dates
from tests.deid import kit
from tests.factories import make_instance

NAMES = {
    "ISO_IR 100": ("Müller^Zoë", "latin-1"),
    "ISO_IR 101": ("Wałęsa^Łucja", "iso8859_2"),
    "ISO_IR 109": ("Ĉapek^Ĝorĝo", "iso8859_3"),
    "ISO_IR 110": ("Bērziņš^Ģirts", "iso8859_4"),
    "ISO_IR 144": ("Жуков^Юлия", "iso8859_5"),
    "ISO_IR 127": ("قباني^لنزار", "iso8859_6"),
    "ISO_IR 126": ("Διονυσιος", "iso8859_7"),
    "ISO_IR 138": ("שרון^דבורה", "iso8859_8"),
    "ISO_IR 148": ("Çavuşoğlu^Çağla", "iso8859_9"),
    "ISO_IR 166": ("นามสกุล^ชื่อ", "iso8859_11"),
    "ISO_IR 13": ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis"),
    "ISO_IR 192": ("王^小东", "utf-8"),
    "GB18030": ("王^小东", "gb18030"),
    "GBK": ("王^小东", "gbk"),
    "\\ISO 2022 IR 87": ("Yamada^Tarou=山田^太郎", "iso2022_jp"),
    "ISO 2022 IR 13\\ISO 2022 IR 87": ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis"),
    "\\ISO 2022 IR 58": ("Wang^XiaoDong", "ascii"),
}


@pytest.mark.parametrize("term", NAMES)
def test_identifiers_are_understood_in_every_character_set(term: str, tmp_path: Path) -> None:
    """The same ID in another set is the same patient, and a name in a description goes."""
    name, encoding = NAMES[term]
    raw = name.encode(encoding)
    encoding_found = charset.encoding_of(term.encode(), "")
    assert charset.decode(raw, encoding_found) == name
    dataset = make_instance()
    dataset.add_new(0x00080005, "CS", term.split("\\"))
    dataset.add_new(0x00100010, "PN", raw)
    dataset.add_new(0x00100020, "LO", raw)
    dataset.add_new(0x00081030, "LO", b"CT " + raw)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, "clean-descriptors"))
    assert output.StudyDescription == "CT"
    assert raw not in (tmp_path / "target.dcm").read_bytes()
    in_unicode = make_instance()
    in_unicode.SpecificCharacterSet = "ISO_IR 192"
    in_unicode.PatientID = name
    assert kit.outcome(tmp_path, in_unicode, kit.recipe(tmp_path)).PatientID == output.PatientID


def test_code_extensions_of_iso_2022() -> None:
    """PS3.5 annexes H, I and K: Japanese, Korean and Chinese with escape sequences."""
    japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B"
    korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^"
    chinese = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    for term, raw, text in (
        (b"\\ISO 2022 IR 87", japanese, "Yamada^Tarou=山田^太郎=やまだ"),
        (b"\\ISO 2022 IR 149", korean, "Hong^Gildong=洪^吉洞=홍^"),
        (b"\\ISO 2022 IR 58", chinese, "Zhang^XiaoDong=张^小东="),
    ):
        assert charset.decode(raw, charset.encoding_of(term, "")) == text


@pytest.mark.parametrize(
    ("term", "raw"),
    [(b"ISO_IR 999", b"x"), (b"ISO_IR 192\\ISO 2022 IR 87", b"x"), (b"ISO_IR 192", b"\xff\xfe"),
     (b"\\ISO 2022 IR 87", b"\x1b$Z\x21")],
)  # fmt: skip
def test_what_cannot_be_read_is_quarantined(term: bytes, raw: bytes) -> None:
    """An unknown set, an impossible combination, bytes outside the set, an unknown escape."""
    with pytest.raises(Quarantined):
        charset.decode(raw, charset.encoding_of(term, ""))


def test_an_undeclared_set_is_the_routes_and_is_declared_then(tmp_path: Path) -> None:
    """The output says in which set its text is."""
    dataset = make_instance()
    dataset.add_new(0x00100020, "LO", "Müller".encode())
    dataset.add_new(0x00080070, "LO", "Gerätebau".encode())
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, assume_charset="ISO_IR 192"))
    assert output.SpecificCharacterSet == "ISO_IR 192"
    assert output.Manufacturer == "Gerätebau"
    declared = make_instance()
    declared.SpecificCharacterSet = "ISO_IR 192"
    declared.PatientID = "Müller"
    assert kit.outcome(tmp_path, declared, kit.recipe(tmp_path)).PatientID == output.PatientID


def test_an_item_may_declare_its_own_set(tmp_path: Path) -> None:
    """PS3.3 C.12.1.1.2: the set of an item holds within it, and only there."""
    dataset = make_instance()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientID = "Müller"
    dataset.GroupOfPatientsIdentificationSequence = [item]
    dataset.add_new(0x00100020, "LO", "Müller".encode("latin-1"))
    dataset.add_new(0x00200010, "SH", "Ü1".encode("latin-1"))
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path))
    assert output.GroupOfPatientsIdentificationSequence[0].PatientID == output.PatientID
    del dataset.GroupOfPatientsIdentificationSequence
    assert kit.outcome(tmp_path, dataset, kit.recipe(tmp_path)).StudyID == output.StudyID


@pytest.mark.filterwarnings("ignore:The value length")
def test_cleaned_text_is_no_longer_than_its_vr_allows(tmp_path: Path) -> None:
    """A text that was too long before is cut between words."""
    dataset = make_instance()
    dataset.add_new(0x00081030, "LO", b"CT thorax abdomen pelvis " * 4)
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, "clean-descriptors"))
    assert output.StudyDescription == "CT thorax abdomen pelvis CT thorax abdomen pelvis CT thorax"


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("CT chest with contrast", "CT chest with contrast"),
        ("CT thorax, Quillfeather", "CT thorax"),
        ("chest/abdomen 5mm", "chest/abdomen 5mm"),
        ("Quillfeather", ""),
        ("axial 20200704 Thackenbury", "axial"),
        ("Dr. Hand", ""),
        ("left hand", "left hand"),
        ("axial\\Quillfeather\\sagittal", "axial\\\\sagittal"),
    ],
)
def test_clean_descriptors_keeps_known_words_only(text: str, stays: str) -> None:
    """PS3.15 E.3.5: an allow list, with a neighbour's word for words that are names too."""
    assert clean.safe_text(text, frozenset()) == stays


def test_a_known_word_goes_where_it_is_the_patients_own(tmp_path: Path) -> None:
    """Of Ms. Chest nothing stays, not even in "CT chest"."""
    dataset = make_instance()
    dataset.PatientName = "Chest^Anna"
    dataset.StudyDescription = "CT chest"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, "clean-descriptors"))
    assert output.StudyDescription == "CT"


@pytest.mark.parametrize(
    ("vr", "value", "moved"),
    [
        ("DA", b"20200704", b"20200326"),
        ("DA", b"2020.07.04", b"20200326"),
        ("DA", b"202007", b"202004"),
        ("DA", b"2020 ", b"2020"),
        ("DA", b"20200704\\20200301\\", b"20200326\\20191122\\"),
        ("DA", b"20200230", None),
        ("DA", b"00000000", None),
        ("DA", b"00010101", None),
        ("DA", b"notadate", None),
        ("DA", b"20200704-20200801", None),
        ("DT", b"20200704101112.5+0200", b"20200326101112.5+0200"),
        ("DT", b"20200704", b"20200326"),
        ("DT", b"202007-0500", b"202004-0500"),
        ("DT", b"2020", b"2020"),
        ("DT", b"20200704101", None),
        ("DT", b"", b""),
    ],
)
def test_dates_of_every_shape_move_or_are_given_up(
    vr: str, value: bytes, moved: bytes | None
) -> None:
    """docs/pseudonyms.md, "Dates": by 100 days here."""
    assert dates.shift(vr, value, 100) == moved


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_an_unparsable_date_is_emptied_or_replaced_by_type(tmp_path: Path) -> None:
    """Study Date is Type 2, Acquisition Date Type 3."""
    dataset = make_instance()
    dataset.add_new(0x00080020, "DA", "notadate")
    dataset.add_new(0x00080022, "DA", "notadate")
    dataset.TimezoneOffsetFromUTC = "+0100"
    output = kit.outcome(tmp_path, dataset, kit.recipe(tmp_path, kit.MODIFIED))
    assert output.StudyDate == ""
    assert "AcquisitionDate" not in output
    assert output.TimezoneOffsetFromUTC == "+0100"
