"""What machines ask: alive, ready, metrics."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from node.config import NodeConfig
from node.disk import lock_file
from node.inbox.layout import Inbox
from node.outbox.layout import Outbox
from node.web.app import make_app
from tests.web.conftest import Ask
from tests.web.filled import node_folder


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


def test_the_alert_rules_speak_of_metrics_that_there_are(ask: Ask) -> None:
    """An alarm on a name that nobody exports never rings."""
    rules = (Path(__file__).parents[2] / "config" / "prometheus-alerts.yml").read_text()
    named = set(re.findall(r"deid_node_[a-z_]+", rules))
    text = ask(studies=4).get("/metrics").text
    exported = {family.name for family in text_string_to_metric_families(text)}
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
