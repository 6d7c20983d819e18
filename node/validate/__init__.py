"""The independent validator: proves finished files against their originals, by code of its own.

`validate` for one instance, `check_study` for what is released together. How far the proof reaches
is told in docs/security.md.
"""

from node.validate.findings import HOLDING, Finding, InstanceFacts, Severity, Verdict
from node.validate.instance import validate
from node.validate.study import Generation, check_study, dangling_references

__all__ = [
    "HOLDING", "Finding", "Generation", "InstanceFacts", "Severity", "Verdict", "check_study",
    "dangling_references", "validate",
]  # fmt: skip
