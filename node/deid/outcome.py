"""What can come of an instance besides its de-identified file."""

from __future__ import annotations

from dataclasses import dataclass


class Quarantined(Exception):  # noqa: N818 -- an outcome, not an accident
    """The instance cannot be treated; retrying gives the same. The reason carries no PHI."""

    @property
    def reason(self) -> str:
        """Why, in words for a person."""
        return str(self.args[0])


class NotAccepted(Quarantined):
    """The profile's `[accept]` does not name what the instance is; it may simply be left out."""


class Held(Exception):  # noqa: N818 -- an outcome, not an accident
    """The study needs a person; it may be tried again afterwards. The reason carries no PHI."""

    @property
    def reason(self) -> str:
        """Why, in words for a person."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What was written: new UIDs and pseudonym only, nothing of the source's."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    transfer_syntax_uid: str
    bytes: int
