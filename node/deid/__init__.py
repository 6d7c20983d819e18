"""The de-identification engine of PS3.15 Annex E: one reader, one decision, one writer.

`engine.deidentify` is the story; docs/pseudonyms.md tells how identities are replaced.
"""

from node.deid.engine import deidentify
from node.deid.outcome import Deidentified, Held, NotAccepted, Quarantined
from node.deid.preview import Change, preview

__all__ = [
    "Change",
    "Deidentified",
    "Held",
    "NotAccepted",
    "Quarantined",
    "deidentify",
    "preview",
]
