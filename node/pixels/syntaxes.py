"""Transfer syntaxes by what we can do with them (PS3.5 Annex A, PS3.6 A-1)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.uid import UID

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE})
#: What we write: native, or compressed without any loss.
WRITABLE = NATIVE | {RLE, JPEG_LS, JPEG_2000}
JPEG_FAMILY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70))
#: HTJ2K among them.
JPEG_2000_FAMILY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
#: Each JPEG process of these loses something: baseline, extended, and two long retired.
LOSSY_JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55))
#: Whether something was lost stands in the codestream.
MAYBE_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 203))
_LOSSY = LOSSY_JPEG | MAYBE_LOSSY


def candidates(own: str, wished: Sequence[str]) -> tuple[str, ...]:
    """Give what to write for a destination, the best first; empty if it takes `own`.

    Wished syntaxes that we do not write count only where an instance is in one of them already.
    """
    return () if own in wished else tuple(one for one in wished if one in WRITABLE)


def why_none(own: str, wished: Sequence[str]) -> str:
    """Say why nothing that a destination wishes can be written, whatever the instance."""
    lossy = [UID(one).name for one in wished if one in _LOSSY]
    others = [UID(one).name for one in wished if one not in _LOSSY]
    reasons = []
    if lossy:
        reasons.append(
            f"{', '.join(lossy)} would lose something, and we compress without loss only"
        )
    if others:
        reasons.append(f"we do not write {', '.join(others)}")
    return f"it is in {UID(own).name}; " + "; ".join(reasons)
