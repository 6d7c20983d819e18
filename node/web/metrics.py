"""Prometheus metrics, computed from rows at each scrape, so that they cannot drift from them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from node.config import NodeConfig
from node.status import status
from node.web.live import disk_use


class NodeMetrics(Collector):
    """What one node does, as metric families."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    def collect(self) -> Iterator[Metric]:
        """Read the rows and give every family."""
        now = status(self._config, limit=0)
        yield _gauge("role_up", "Whether a role lives.", "role", now["roles"])
        yield _gauge(
            "instances", "Instances by what became of them.", "outcome", now["conservation"]
        )
        yield _gauge("studies", "Studies by state.", "state", now["study_counts"])
        workers = now["workers"]
        yield _gauge("workers", "Worker processes.", "", {"": workers["totalWorkers"]})
        yield _gauge(
            "jobs", "Jobs by state.", "state",
            {"active": workers["activeJobs"], "queued": workers["queuedJobs"]},
        )  # fmt: skip
        yield self._deliveries(now["destinations"])
        disk = disk_use(self._config)
        yield _gauge("disk_bytes", "Disk of the data_dir.", "kind", disk)

    def _deliveries(self, destinations: list[dict[str, object]]) -> Metric:
        family = GaugeMetricFamily(
            "deid_node_delivery_instances",
            "Instances by destination.",
            labels=("destination", "outcome"),
        )
        for row in destinations:
            for outcome in ("pending", "delivered", "committed", "refused"):
                family.add_metric([str(row["name"]), outcome], float(str(row[outcome])))
        return family


def _gauge(name: str, text: str, label: str, values: dict[str, int] | dict[str, bool]) -> Metric:
    family = GaugeMetricFamily(f"deid_node_{name}", text, labels=(label,) if label else ())
    for value, number in values.items():
        family.add_metric([value] if label else [], float(number))
    return family
