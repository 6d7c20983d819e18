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
    assert "character set" in compare(Compare(path, "basic", None, "", "")).problem
    told = compare(Compare(path, "basic", None, "", "ISO_IR 192"))
    before = {change["keyword"]: change["before"] for change in told.changes}
    assert before["PatientID"] == "Müller"
