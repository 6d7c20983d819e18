"""The independent validator: proves finished files against their originals, by code of its own.

`validate` for one instance, `are_twins` for two outputs, `check_study` for what is released
together. How far the proof reaches is told in docs/security.md.
"""

from node.validate.findings import HOLDING, Finding, InstanceFacts, Severity, Verdict
from node.validate.instance import validate
from node.validate.study import Generation, check_study, dangling_references
from node.validate.twin import are_twins

__all__ = [
    "HOLDING", "Finding", "Generation", "InstanceFacts", "Severity", "Verdict", "are_twins",
    "check_study", "dangling_references", "validate",
]  # fmt: skip
