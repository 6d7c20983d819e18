"""The validator's own decoder agrees with pydicom's on every character set of the standard."""

from __future__ import annotations

import pytest
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PersonName

from node.validate import charset

#: Specific Character Set and a Person Name in it (PS3.5 Annexes H, I, J, K and others).
NAMES = {
    "ISO_IR 100": "Buc^Jérôme",
    "ISO_IR 101": "Wałęsa",
    "ISO_IR 109": "antaŭnomo",
    "ISO_IR 110": "vārds",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 144": "Иванов",
    "ISO_IR 148": "Çavuşoğlu",
    "ISO_IR 166": "นามสกุล",
    "ISO_IR 192": "Wang^XiaoDong=王^小东",
    "GB18030": "Wang^XiaoDong=王^小东",
    "GBK": "Wang^XiaoDong=王^小东",
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "\\ISO 2022 IR 58": "Zhang^XiaoDong=张^小东",
    "ISO 2022 IR 100\\ISO 2022 IR 144": "Jérôme^Иванов",
}


@pytest.mark.parametrize("declared", NAMES)
def test_a_name_is_read_as_it_was_written(declared: str) -> None:
    """Every character set, with and without code extensions."""
    encodings = convert_encodings(declared.split("\\"))
    encoded = bytes(PersonName(NAMES[declared], encodings).encode(encodings))
    terms = charset.terms(declared.encode())
    assert charset.is_known(terms)
    assert charset.decode(encoded, terms) == NAMES[declared]


def test_undeclared_bytes_are_read_as_latin_1() -> None:
    """A search must see a name that nobody declared a character set for."""
    assert charset.decode("Zebedée".encode("latin_1"), ("",)) == "Zebedée"
    assert decode_bytes(b"Zebed", ["ascii"], set()) == charset.decode(b"Zebed", ("",))


def test_what_dicom_does_not_define_is_not_known() -> None:
    """An unknown term makes a finding."""
    assert not charset.is_known(("ISO_IR 999",))
