"""The node that the tests of `process` drive."""

from tests.process.conftest import door, make_door, quiet_log, scripted_engine

__all__ = ["door", "make_door", "quiet_log", "scripted_engine"]
