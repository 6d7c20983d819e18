"""Prometheus metrics, computed from rows at each scrape, so that they cannot drift from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from node.config import NodeConfig
from node.status import measures, status
from node.status.read import reading_index, reading_ledger
from node.web.heard import Heard
from node.web.live import disk_use

PREFIX = "deid_node_"


class NodeMetrics(Collector):
    """What one node does, as metric families."""

    def __init__(self, config: NodeConfig, heard: Heard) -> None:
        self._config = config
        self._heard = heard

    def collect(self) -> Iterator[Metric]:
        """Read the rows and give every family."""
        now = status(self._config, limit=0)
        workers = now["workers"]
        jobs = {"active": workers["activeJobs"], "queued": workers["queuedJobs"]}
        yield _gauge("role_up", "Whether a role lives.", ("role",), _keyed(now["roles"]))
        yield _gauge(
            "instances", "Instances by outcome.", ("outcome",), _keyed(now["conservation"])
        )
        yield _gauge("studies", "Studies by state.", ("state",), _keyed(now["study_counts"]))
        yield _gauge("workers", "Worker processes.", (), [((), workers["totalWorkers"])])
        yield _gauge("jobs", "Jobs by state.", ("state",), _keyed(jobs))
        yield from _destinations(now["destinations"])
        left = now["in_quarantine"]
        yield _gauge(
            "released_in_quarantine", "Released studies with instances there.", (), [((), left)]
        )
        refused = len(now["refused_releases"])
        yield _gauge("refused_releases", "Releases that are sent nowhere.", (), [((), refused)])
        disk = disk_use(self._config)
        yield _gauge("disk_bytes", "Disk of the data_dir.", ("kind",), _keyed(disk))
        events = CounterMetricFamily(f"{PREFIX}events", "Audited events.", labels=("event",))
        for event, count in self._heard.counts().items():
            events.add_metric((event,), count)
        yield events
        yield from self._inbox()
        yield from self._outbox()

    def _inbox(self) -> Iterator[Metric]:
        with reading_index(self._config) as conn:
            if conn is None:
                return
            found = [((check, severity), n) for check, severity, n in
                     measures.findings_by_check(conn)]  # fmt: skip
            yield _gauge("findings", "Findings in held studies.", ("check", "severity"), found)
            size = measures.received_bytes(conn)
            yield _gauge("received_bytes", "Bytes of all received instances.", (), [((), size)])
            counts, total = measures.release_seconds(conn)
        bounds = [*(str(bound) for bound in measures.BUCKETS), "+Inf"]
        yield HistogramMetricFamily(
            f"{PREFIX}release_seconds",
            "From a generation's beginning to its release.",
            buckets=list(zip(bounds, counts, strict=True)),
            sum_value=total,
        )

    def _outbox(self) -> Iterator[Metric]:
        with reading_ledger(self._config) as conn:
            rows = [] if conn is None else measures.deliveries_by_state(conn)
        states = [((to, state), count) for to, state, count in rows]
        yield _gauge("deliveries", "Deliveries by state.", ("destination", "state"), states)


def _destinations(rows: list[dict[str, Any]]) -> Iterator[Metric]:
    outcomes = ("pending", "delivered", "committed", "refused")
    counts = [((row["name"], outcome), row[outcome]) for row in rows for outcome in outcomes]
    yield _gauge(
        "delivery_instances", "Instances by destination.", ("destination", "outcome"), counts
    )
    waits = [((row["name"],), _seconds_until(row["deferred_until"])) for row in rows]
    yield _gauge("backoff_seconds", "Until the next attempt.", ("destination",), waits)


def _seconds_until(when: str | None) -> float:
    if when is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(when) - datetime.now(UTC)).total_seconds())


def _keyed(values: Mapping[str, float]) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), value) for name, value in values.items()]


def _gauge(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    for key, number in values:
        family.add_metric(list(key), float(number))
    return family
