"""`deidentify`, `preview` and `profile`: the engine and the validator without the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner, Result

from node.cli import deid_node
from node.profile.key import create_key
from tests.factories import identifiers, make_instance, patient_name, write_instance
from tests.web.filled import node_folder


def run(*arguments: str | Path) -> Result:
    """Run a verb."""
    return CliRunner().invoke(deid_node, [str(argument) for argument in arguments])


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    """Give a folder with two instances of one study."""
    for number in (1, 2):
        write_instance(tmp_path / "in" / f"{number}.dcm", make_instance(instance=number))
    return tmp_path / "in"


def test_a_folder_comes_out_de_identified(source: Path, tmp_path: Path) -> None:
    """One study folder, both instances, no identifier, exit 0."""
    done = run("deidentify", source, tmp_path / "out", "--throwaway-key")
    assert done.exit_code == 0, done.output
    made = sorted((tmp_path / "out").rglob("*"))
    files = [path for path in made if path.is_file()]
    assert len(files) == 2
    assert len({path.parent for path in files}) == 1
    for path in files:
        content = path.read_bytes()
        assert not any(value.encode() in content for value in identifiers())
    assert len(done.stdout.splitlines()) == 2


def test_one_file_goes_where_it_is_told_and_nothing_is_overwritten(
    source: Path, tmp_path: Path
) -> None:
    """A second run to the same name stops."""
    target = tmp_path / "one.dcm"
    assert run("deidentify", source / "1.dcm", target, "--throwaway-key").exit_code == 0
    content = target.read_bytes()
    again = run("deidentify", source / "1.dcm", target, "--throwaway-key")
    assert again.exit_code == 1
    assert "there already" in again.stderr
    assert target.read_bytes() == content


def test_two_files_with_one_sop_instance_uid_both_come_out(tmp_path: Path) -> None:
    """Neither takes the other's place."""
    for name, rows in (("a", 16), ("b", 8)):
        write_instance(tmp_path / "in" / f"{name}.dcm", make_instance(rows=rows))
    done = run("deidentify", tmp_path / "in", tmp_path / "out", "--throwaway-key")
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert {pydicom.dcmread(path).Rows for path in files} == {16, 8}


def test_what_is_held_and_what_is_no_dicom_is_told_with_exit_1(
    source: Path, tmp_path: Path
) -> None:
    """One line per file says why; the rest comes out all the same."""
    write_instance(source / "3.dcm", make_instance(study=2, modality="OT"))
    (source / "4.txt").write_text("no image")
    done = run("deidentify", source, tmp_path / "out", "--throwaway-key", "--json")
    assert done.exit_code == 1
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [one["outcome"] for one in told] == [
        "deidentified",
        "deidentified",
        "held",
        "quarantined",
    ]
    assert "burned-in" in told[2]["why"]
    assert all((one["target"] is None) == bool(one["why"]) for one in told)
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 2


def test_the_key_of_the_node_gives_the_nodes_pseudonyms(source: Path, tmp_path: Path) -> None:
    """Twice the same key, twice the same Patient ID; a throwaway key gives another."""
    config = node_folder(tmp_path)
    config.keys_dir.mkdir(parents=True)
    create_key(config.keys_dir / "pseudonym.key")
    at_node = ("-c", tmp_path / "node.toml")
    named = ("--key", config.keys_dir / "pseudonym.key")
    codes = []
    for number, options in enumerate((at_node, named, ("--throwaway-key",))):
        target = tmp_path / f"{number}.dcm"
        assert run("deidentify", source / "1.dcm", target, *options).exit_code == 0
        codes.append(pydicom.dcmread(target).PatientID)
    assert codes[0] == codes[1] != codes[2]


@pytest.mark.parametrize("verb", [("deidentify", "out"), ("preview",)])
def test_without_a_key_both_ways_are_named(
    source: Path, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    """Exit 2, and nothing is written."""
    node_folder(tmp_path)
    name, *rest = verb
    done = run(name, source, *(tmp_path / part for part in rest), "-c", tmp_path / "node.toml")
    assert done.exit_code == 2
    assert "--key" in done.stderr
    assert "--throwaway-key" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_profile_that_is_not_there_is_exit_2(source: Path, tmp_path: Path) -> None:
    """With the names of those that are."""
    done = run("deidentify", source, tmp_path / "out", "--throwaway-key", "--profile", "nosuch")
    assert done.exit_code == 2
    assert "basic" in done.stderr


def test_preview_shows_before_and_after(source: Path) -> None:
    """The same engine, nothing written."""
    done = run("preview", source / "1.dcm", "--throwaway-key", "--json")
    assert done.exit_code == 0
    (shown,) = json.loads(done.stdout)
    (name,) = [change for change in shown["changes"] if change["keyword"] == "PatientName"]
    assert name["before"] == patient_name(1)
    assert name["after"] not in (None, patient_name(1))
    text = run("preview", source / "1.dcm", "--throwaway-key").output
    assert "PatientName" in text
    assert patient_name(1) in text


def test_profile_show_tells_the_action_of_every_attribute() -> None:
    """From the same data that the engine runs on."""
    assert "basic" in run("profile", "list").output.split()
    told = json.loads(run("profile", "show", "basic", "--json").stdout)
    by_keyword = {line["keyword"]: line for line in told["attributes"]}
    assert by_keyword["PatientBirthDate"]["action"] == "Z"
    assert by_keyword["Rows"]["action"] == "K"
    assert "PatientBirthDate" in run("profile", "show", "basic").output
