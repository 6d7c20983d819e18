"""The audit trail: who did what when, chained by hash, one trail per writer."""

from node.audit.chain import Entry, append, problems, read
from node.audit.roles import AUDITED, Trail
from node.audit.volumes import trails, volumes_of

__all__ = ["AUDITED", "Entry", "Trail", "append", "problems", "read", "trails", "volumes_of"]
