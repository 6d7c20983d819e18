"""For machines that watch: alive, ready, and metrics; no PHI in any label."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from node.config import NodeConfig
from node.status.read import reading_index, reading_ledger, roles
from node.web.live import disk_use
from node.web.metrics import NodeMetrics


async def healthz(_request: Request) -> Response:
    """Answer that this role lives."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Answer 200 when studies can come in and go out, else 503; either way say what is missing."""
    missing = await run_in_threadpool(_missing, request.app.state.config)
    return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)


async def metrics(request: Request) -> Response:
    """Give the metrics in Prometheus' text format."""
    content = await run_in_threadpool(_metrics, request.app.state.config)
    return Response(content, headers={"content-type": CONTENT_TYPE_LATEST})


def _missing(config: NodeConfig) -> list[str]:
    missing = [f"role {name}" for name, alive in roles(config).items() if not alive]
    with reading_index(config) as conn:
        missing += ["index"] * (conn is None)
    with reading_ledger(config) as conn:
        missing += ["ledger"] * (conn is None)
    disk = disk_use(config)
    if disk["free"] < disk["reserve"]:
        missing.append("free disk")
    return missing


def _metrics(config: NodeConfig) -> bytes:
    registry = CollectorRegistry()
    registry.register(NodeMetrics(config))
    return generate_latest(registry)
