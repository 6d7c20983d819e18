"""For machines that watch: alive, ready, and metrics; no PHI in any label."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from node.config import NodeConfig
from node.config.loopback import is_loopback
from node.status.read import reading_index, reading_ledger, roles
from node.web.live import disk_use
from node.web.metrics import NodeMetrics
from node.web.sessions import Page, may
from node.web.users import Right


def for_machines(page: Page) -> Page:
    """Let programs of this machine ask without signing in; others sign in."""
    guarded = may(Right.WATCH)(page)

    async def answer(request: Request) -> Response:
        near = request.client is not None and is_loopback(request.client.host)
        return await (page(request) if near else guarded(request))

    return answer


async def healthz(_request: Request) -> Response:
    """Answer that this role lives."""
    return PlainTextResponse("ok\n")


@for_machines
async def readyz(request: Request) -> Response:
    """Answer 200 when studies can come in and go out, else 503; either way say what is missing."""
    missing = await run_in_threadpool(_missing, request.app.state.config)
    return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)


@for_machines
async def metrics(request: Request) -> Response:
    """Give the metrics in Prometheus' text format."""
    content = await run_in_threadpool(_metrics, request.app.state)
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


def _metrics(state: State) -> bytes:
    registry = CollectorRegistry()
    registry.register(NodeMetrics(state.config, state.heard))
    return generate_latest(registry)
