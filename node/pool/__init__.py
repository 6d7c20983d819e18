"""Processes for jobs: one process for each start, a bounded number at a time. Knows no job."""

from node.pool.containment import Limits
from node.pool.pool import Ended, Pool, PoolBroken, default_slots
from node.pool.temporary import take_temporary_folder

__all__ = ["Ended", "Limits", "Pool", "PoolBroken", "default_slots", "take_temporary_folder"]
