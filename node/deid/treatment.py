"""What is known of an instance while it is treated."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from node.deid.identifiers import Identifiers
from node.deid.outcome import Held
from node.deid.pseudonyms import Subkeys, identity_of, patient_code
from node.deid.source import Source
from node.profile import lookup
from node.profile.profile import Profile


@dataclass(slots=True, repr=False)
class Treatment:
    """One instance's patient, keys and circumstances; made by `engine`, read by every step.

    Attributes
    ----------
    pseudonym
        Patient ID and Patient's Name of the output, in ASCII.
    identity, issuer
        Of the patient, as docs/pseudonyms.md defines them; the issuer decoded.
    days
        By which dates go back.
    encoding
        Python's name of the character set where the walk is (items may declare their own).
    present
        Tags at the top level.
    identifiers
        Of the patient and those around; no text that stays holds one.
    privates
        Of the data set or item that the walk is in: what stays of its private attributes.
    sequences
        What became of short ones, by the plan of their items, the encoding and their bytes.
    timeless
        Nothing was looked at but bytes and the key for UIDs since this was set.
    """

    profile: Profile
    subkeys: Subkeys
    identity: bytes
    issuer: str
    pseudonym: bytes
    days: int
    encoding: str
    implicit: bool
    source: Source
    present: Container[int]
    sop_class_uid: str
    over_89: bool
    identifiers: Identifiers
    assumed: str = ""
    privates: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[tuple[object, str, bytes], bytes] = field(default_factory=dict)
    timeless: bool = True


def pseudonym_of(profile: Profile, subkeys: Subkeys, issuer: str, patient_id: str) -> bytes:
    """Give what stands for a patient under a profile: the lookup's text, or prefix and code.

    Held where the lookup has no row for the patient or cannot be used: a person can mend either.
    """
    if profile.lookup is None:
        code = patient_code(subkeys, identity_of(issuer, patient_id))
        return (profile.prefix + code).encode("ascii")
    try:
        return lookup.pseudonym_of(profile.lookup, issuer, patient_id).encode("ascii")
    except (lookup.NotListed, lookup.LookupInvalid) as reason:
        raise Held(str(reason)) from None
