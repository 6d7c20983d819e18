"""What a worker of the web role tells of an original: what its route would make of it."""

from __future__ import annotations

from pathlib import Path

from node.web.asked import Compare, compare
from tests.factories import make_instance, write_instance


def test_the_comparison_assumes_what_the_route_assumes(tmp_path: Path) -> None:
    """A Patient ID beyond ASCII without a declared character set, read as the route says."""
    dataset = make_instance()
    dataset.add_new(0x00100020, "LO", "Müller".encode())
    path = write_instance(tmp_path / "one.dcm", dataset)

    def patient_id(assumed: str) -> str | None:
        told = compare(Compare(path, "basic", None, "", assumed))
        assert not told.problem
        (found,) = [one["before"] for one in told.changes if one["keyword"] == "PatientID"]
        return found

    assert patient_id("ISO_IR 192") == "Müller"
    assert patient_id("") != "Müller"
