"""Dates moved into the past by whole days, each written to the precision that it came in."""

from __future__ import annotations

import re
from datetime import date, timedelta

#: What a partial date stands for while it is moved: 1 July, or the 15th.
_MID_YEAR, _MID_MONTH = "0701", "15"
_DA = re.compile(rb"(\d{4})\.?(?:(\d{2})\.?(\d{2})?)?")
_DT = re.compile(rb"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_TM = re.compile(rb"(\d{2}:?){1,3}(\.\d{1,6})?")
_OFFSET = re.compile(rb"[+-]\d{4}")


def shift(vr: str, value: bytes, days: int) -> bytes | None:
    """Move a value (all its parts) of VR DA or DT by days into the past; None: unparsable.

    An empty value, and each empty part, stays empty.
    """
    move = shift_date if vr == "DA" else shift_datetime
    parts = [part.strip(b" \0") for part in value.split(b"\\")]
    moved = [move(part, days) if part else b"" for part in parts]
    return None if None in moved else b"\\".join(part for part in moved if part is not None)


def shift_date(part: bytes, days: int) -> bytes | None:
    """Move one date: YYYYMMDD, YYYY.MM.DD, YYYYMM or YYYY."""
    match = _DA.fullmatch(part)
    return _moved(match[1], match[2], match[3], days) if match else None


def shift_datetime(part: bytes, days: int) -> bytes | None:
    """Move one date and time; what follows the day stays as it is."""
    match = _DT.fullmatch(part)
    if match is None:
        return None
    year, month, day, rest = match.groups()
    if rest and not day and rest[:1] not in b"+-":
        return None
    moved = _moved(year, month, day, days)
    return None if moved is None else moved + rest


def is_time(value: bytes) -> bool:
    """Tell whether every part of a value is a time of day (or a range's end, or empty)."""
    parts = (part.strip(b" \0") for part in value.split(b"\\"))
    return all(not part or _TM.fullmatch(part) for part in parts)


def is_offset(value: bytes) -> bool:
    """Tell whether a value is an offset from UTC: +0100."""
    return _OFFSET.fullmatch(value.strip(b" \0")) is not None


def _moved(year: bytes, month: bytes | None, day: bytes | None, days: int) -> bytes | None:
    text = year + (month or _MID_YEAR[:2].encode())
    text += day or (_MID_MONTH if month else _MID_YEAR[2:]).encode()
    try:
        moved = date(int(text[:4]), int(text[4:6]), int(text[6:])) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    digits = b"%04d%02d%02d" % (moved.year, moved.month, moved.day)
    return digits[: 8 if day else 6 if month else 4]
