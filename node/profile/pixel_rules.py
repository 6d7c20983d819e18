"""The pixel risk rules of `[pixels]`: what a picture may show, and what is done about it.

The validator's gate looks at the source and answers by these names. Where several rules apply to
one instance, `exclude` goes before `hold` and `hold` before `pass`: nobody need look at what
stays behind.
"""

from __future__ import annotations

from enum import StrEnum


class PixelAction(StrEnum):
    """What a risk does to the instance."""

    HOLD = "hold"  #: a person decides
    EXCLUDE = "exclude"  #: the instance stays behind, the rest of the study goes
    PASS = "pass"  # noqa: S105 -- a verb, not a password


#: Each rule with its meaning and the action where a profile says nothing.
PIXEL_RULES: dict[str, tuple[PixelAction, str]] = {
    "burned-in-annotation": (PixelAction.HOLD, "(0028,0301) says YES"),
    "burned-in-unknown": (
        PixelAction.HOLD,
        "(0028,0301) is absent or unlawful where the SOP class is one that often has text",
    ),
    "secondary-capture": (PixelAction.HOLD, "a secondary capture SOP class"),
    "conversion-type": (PixelAction.HOLD, "an image of another class with (0008,0064)"),
    "derived-secondary-rgb": (
        PixelAction.HOLD,
        "a colour or DERIVED\\SECONDARY image in a CT, MR, PET or NM class",
    ),
    "screen-save": (PixelAction.HOLD, "Image Type or description says screen save"),
    "dose-screen": (PixelAction.HOLD, "a dose report as a picture"),
    "ultrasound": (PixelAction.HOLD, "an ultrasound class: the screen's header is in the pixels"),
    "endoscopy": (PixelAction.HOLD, "an endoscopic image or video"),
    "photograph": (PixelAction.HOLD, "a photograph in visible light"),
    "video": (PixelAction.HOLD, "a video SOP class or transfer syntax"),
    "digitized-film": (PixelAction.HOLD, "a scanned film: its label is in the pixels"),
    "wsi-label": (PixelAction.HOLD, "a whole slide's label image"),
    "wsi-overview": (PixelAction.HOLD, "a whole slide's overview image: it shows the label"),
    "encapsulated-document": (PixelAction.HOLD, "a PDF, CDA or model file inside DICOM"),
    "recognizable-face": (
        PixelAction.PASS,
        "a head volume from which a face can be rendered; every head CT and MR is one",
    ),
}
