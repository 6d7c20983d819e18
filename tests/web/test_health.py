"""What machines ask: alive, ready, metrics."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from node import audit
from node.audit import volumes
from node.cli import deid_node
from node.config import NodeConfig
from node.disk import lock_file
from node.inbox.index import open_index
from node.inbox.layout import Inbox
from node.inbox.tables import instance, study
from node.outbox.layout import Outbox
from node.web.app import make_app
from tests.web.conftest import Ask
from tests.web.filled import node_folder, study_id


def test_the_role_says_that_it_lives(ask: Ask) -> None:
    """Whatever the other roles do."""
    assert ask(studies=0).get("/healthz").status_code == 200


def test_the_node_is_not_ready_while_a_role_is_down(ask: Ask) -> None:
    """503, and which."""
    answer = ask(studies=0).get("/readyz")
    assert answer.status_code == 503
    assert "role receive" in answer.json()["missing"]


def test_the_node_is_ready_when_all_roles_live(ask: Ask) -> None:
    """Each role holds its lock while it lives."""
    client = ask(studies=0, extra="[receive]\nmin_free_bytes = 0\n")
    config: NodeConfig = client.app.state.config  # type: ignore[attr-defined] -- a Starlette
    locks = Inbox(config.inbox_dir).locks
    for name in ("receive", "process", "web"):
        lock_file(locks / f"{name}.lock")
    lock_file(Outbox(config.outbox_dir).locks / "forward.lock")
    answer = client.get("/readyz")
    assert answer.json() == {"ready": True, "missing": []}
    assert answer.status_code == 200


def test_a_node_that_never_ran_is_not_ready(tmp_path: Path) -> None:
    """No folder, no database: said, not crashed over."""
    client = TestClient(make_app(node_folder(tmp_path)), base_url="http://127.0.0.1")
    assert {"index", "ledger"} <= set(client.get("/readyz").json()["missing"])
    assert client.get("/").status_code == 200


def test_metrics_tell_instances_studies_and_deliveries(ask: Ask) -> None:
    """The numbers are those of the rows, in Prometheus' own format."""
    text = ask(studies=4).get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["deid_node_instances", "received"] == 16
    assert samples["deid_node_instances", "held"] == 4
    assert samples["deid_node_studies", "RELEASED"] == 1
    assert samples["deid_node_delivery_instances", "delivered", "research"] == 4
    assert samples["deid_node_role_up", "receive"] == 0
    assert samples["deid_node_findings", "hold", "pixels"] == 1
    assert samples["deid_node_received_bytes",] == 16_000
    assert samples["deid_node_release_seconds_bucket", "100.0"] == 1
    assert samples["deid_node_release_seconds_sum",] == 50
    assert samples["deid_node_deliveries", "DELIVERED", "research"] == 1


def test_a_finding_that_was_decided_about_rings_no_longer(ask: Ask) -> None:
    """A leak in a study that a person rejected, say: it is in the rows for ever."""
    client = ask(studies=4)
    assert "deid_node_findings{" in client.get("/metrics").text
    config: NodeConfig = client.app.state.config  # type: ignore[attr-defined] -- a Starlette
    index = open_index(Inbox(config.inbox_dir).database)
    with index.begin() as conn:
        conn.execute(study.update().values(state="REJECTED"))
    index.dispose()
    assert "deid_node_findings{" not in client.get("/metrics").text


def test_the_alert_rules_speak_of_metrics_that_there_are(ask: Ask) -> None:
    """An alarm on a name that nobody exports never rings."""
    rules = (Path(__file__).parents[2] / "config" / "prometheus-alerts.yml").read_text()
    named = set(re.findall(r"deid_node_[a-z_]+", rules))
    text = ask(studies=4).get("/metrics").text
    families = list(text_string_to_metric_families(text))
    exported = {family.name for family in families}
    exported |= {f"{family.name}_total" for family in families if family.type == "counter"}
    assert named
    assert named <= exported


def test_no_label_of_a_metric_is_free_text(ask: Ask) -> None:
    """Labels are states, checks, roles and the names of destinations."""
    text = ask(studies=4).get("/metrics").text
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"role", "outcome", "state", "destination", "kind", "check", "severity", "le"}


def test_what_is_audited_is_counted_from_the_start_of_the_role(ask: Ask, tmp_path: Path) -> None:
    """An alarm may ring by a rejected association, which no database knows."""
    trail = tmp_path / "data" / "inbox" / "audit" / "receive.jsonl"
    trail.parent.mkdir(parents=True)
    audit.append(trail, "receive", "association_rejected", "2026-01-02T03:04:05+00:00")
    client = ask()
    counted = 'deid_node_events_total{event="association_rejected"}'
    assert counted not in client.get("/metrics").text
    for at in ("2026-01-02T03:04:06+00:00", "2026-01-02T03:04:07+00:00"):
        audit.append(trail, "receive", "association_rejected", at)
    with trail.open("ab") as file:
        file.write(b'{"what": "half a li')
    for _ in range(2):
        assert f"{counted} 2.0" in client.get("/metrics").text
    volumes.put_aside(trail, 3)  # full, as it were: nothing is counted twice
    audit.append(trail, "receive", "association_rejected", "2026-01-02T03:04:08+00:00")
    assert f"{counted} 3.0" in client.get("/metrics").text


def test_a_study_that_went_out_without_an_instance_is_remembered(ask: Ask, tmp_path: Path) -> None:
    """On the page and for alarms, until somebody decides."""
    client = ask(studies=2)
    assert "deid_node_released_in_quarantine 0.0" in client.get("/metrics").text
    engine = open_index(tmp_path / "data" / "inbox" / "db" / "index.sqlite3")
    with engine.begin() as conn:
        conn.execute(
            instance.update()
            .where(instance.c.id == "assoc00001-000002")
            .values(state="QUARANTINED", released=False)
        )
    engine.dispose()
    assert "deid_node_released_in_quarantine 1.0" in client.get("/metrics").text
    told = "went out without 1 instance: still in quarantine"
    assert told in client.get(f"/studies/{study_id(1)}").text
    done = CliRunner().invoke(deid_node, ["held", "list", "-c", str(tmp_path / "node.toml")])
    assert told in done.output
    done = CliRunner().invoke(deid_node, ["status", "-c", str(tmp_path / "node.toml")])
    assert "1 released study has instances in quarantine" in done.output
