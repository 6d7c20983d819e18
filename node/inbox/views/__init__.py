"""What others read from the index, as frozen rows without PHI: status, web, the command line.

Every function takes a connection of `open_index(path, readonly=True)` and costs what is shown,
not what the index holds.
"""

from __future__ import annotations

from node.inbox.views.contents import (
    DecisionRow,
    EventRow,
    FindingRow,
    GenerationRow,
    InstanceRow,
    decisions,
    findings,
    generations,
    instances,
    timeline,
)
from node.inbox.views.studies import (
    StudyRow,
    in_quarantine,
    progress,
    studies,
    study,
)
from node.inbox.views.totals import (
    conservation,
    study_counts,
    workers,
)

__all__ = [
    "DecisionRow",
    "EventRow",
    "FindingRow",
    "GenerationRow",
    "InstanceRow",
    "StudyRow",
    "conservation",
    "decisions",
    "findings",
    "generations",
    "in_quarantine",
    "instances",
    "progress",
    "studies",
    "study",
    "study_counts",
    "timeline",
    "workers",
]
