"""What the documents say is so: files are there, commands exist, the first route loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.cli import COMMANDS
from node.config import load_config

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")])


def fenced(page: Path, language: str) -> list[str]:
    """Give the code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_real_route_of_the_readme_is_a_right_configuration(tmp_path: Path) -> None:
    """A newcomer copies it and it works."""
    (block,) = fenced(README, "toml")
    path = tmp_path / "node.toml"
    path.write_text(block, encoding="utf-8")
    config = load_config(path)
    assert [route.name for route in config.routes] == ["lung-trial"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """`deid-node VERB` in a page is a verb of the command line."""
    named = set(re.findall(r"\bdeid-node ([a-z]+)\b(?!\.)", "\n".join(fenced(page, "sh"))))
    named |= set(re.findall(r"`deid-node ([a-z]+)", page.read_text(encoding="utf-8")))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Links between pages and to files of the repository."""
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_every_place_on_the_map_is_there() -> None:
    """ARCHITECTURE.md names no file or folder that is gone."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for place in re.findall(r"`((?:node|tools|bench|docs)/[\w./]*)`", text):
        assert (ROOT / place).exists(), place


def test_every_alarm_of_the_operations_page_has_a_rule_and_the_other_way_round() -> None:
    """What the log's table calls an alarm rings somewhere, and each rule has its answer."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rules = (ROOT / "config" / "prometheus-alerts.yml").read_text(encoding="utf-8")
    events = page.partition("## Log events")[2]
    alarms = page.partition("## Alarms")[2].partition("## Log events")[0]
    rows = [line.split("|") for line in alarms.splitlines() if line.startswith("| DeidNode")]
    named = {name for row in rows for name in re.findall(r"DeidNode\w+", row[1])}
    assert named == set(re.findall(r"alert: (\w+)", rules))
    rung = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    for line in events.splitlines():
        if "ALARM" in line and line.startswith("|"):
            which = set(re.findall(r"`(\w+)`", line.split("|")[1]))
            assert which & rung, line


def test_every_figure_of_the_readme_is_one_that_the_bench_printed() -> None:
    """Its table quotes bench/RESULTS.md, which `make bench` writes, and nothing else."""
    text = README.read_text(encoding="utf-8")
    measured = text[text.index("## Measured") : text.index("## More")]
    results = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    printed = set(re.findall(r"\d+(?:\.\d+)?", results))
    rows = [line for line in measured.splitlines() if re.match(r"\| (?!---)", line)][1:]
    assert rows
    for row in rows:
        for figure in re.findall(r"\d+(?:\.\d+)?", " ".join(row.split("|")[2:])):
            assert figure in printed, (figure, row)
