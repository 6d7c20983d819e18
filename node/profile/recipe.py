"""All that decides how an instance is treated, in one value for the engine and the validator."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.profile.profile import Profile

#: Of the rules by which instances are treated, not of the software: raised only when the same file,
#: profile and key give other bytes than before, so that an update of the software changes none of
#: what was sent under a UID. `tests/deid/test_golden.py` holds it.
METHOD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A profile, the pseudonym key and the route's two assumptions.

    Attributes
    ----------
    default_issuer
        Issuer of Patient ID where the instance names none.
    assume_charset
        Specific Character Set (DICOM defined terms, backslash separated) where it declares none.
    """

    profile: Profile
    key: bytes = field(repr=False)
    default_issuer: str = ""
    assume_charset: str = ""
