"""Processes for jobs: one process for each start, a bounded number at a time. Knows no job."""

from node.pool.containment import Limits, give_way
from node.pool.pool import Ended, Pool, PoolBroken, default_slots
from node.pool.temporary import take_temporary_folder

__all__ = [
    "Ended",
    "Limits",
    "Pool",
    "PoolBroken",
    "default_slots",
    "give_way",
    "take_temporary_folder",
]
