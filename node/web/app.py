"""The pages and streams by their addresses, and what every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from node import audit, observe
from node.config import NodeConfig
from node.config.loopback import is_loopback
from node.database import DatabaseOld, DatabaseTooNew
from node.inbox.layout import Inbox
from node.web import health, pages, review, sessions
from node.web.headers import SafeHeaders
from node.web.heard import Heard
from node.web.live import Snapshots
from node.web.studio import Studio
from node.web.users import read_users
from node.web.words import add_words

HERE = Path(__file__).parent
#: systemd is told this often that the event loop still turns.
WATCHDOG_SECONDS = 20
#: Names by which a page on loopback may be asked for; another name is a rebound DNS entry.
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


def make_app(config: NodeConfig) -> Starlette:
    """Make the web application over one node's folders."""
    app = Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/events", pages.overview_events),
            Route("/studies/{study}", pages.study),
            Route("/studies/{study}/events", pages.study_events),
            Route("/studies/{study}/decide", review.decide, methods=["POST"]),
            Route("/studies/{study}/instances/{instance}", review.instance),
            Route("/studies/{study}/instances/{instance}/frame", review.frame),
            Route("/find", review.find, methods=["POST"]),
            Route("/sign-in", sessions.sign_in_page),
            Route("/sign-in", sessions.sign_in, methods=["POST"]),
            Route("/sign-out", sessions.sign_out, methods=["POST"]),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        exception_handlers={DatabaseOld: _other_version, DatabaseTooNew: _other_version},
        middleware=[Middleware(SafeHeaders), *_trusted_host(config)],
        lifespan=_watched,
    )
    app.state.config = config
    app.state.snapshots = Snapshots(config)
    users = read_users(config.web.users) if config.web.users else {}
    app.state.sessions = sessions.Sessions(users, config.web.session_minutes)
    app.state.studio = Studio()
    app.state.heard = Heard(config)
    app.state.audit = partial(_audit, Inbox(config.inbox_dir).audit / "people.jsonl")
    app.state.templates = add_words(Jinja2Templates(directory=HERE / "templates"))
    return app


async def _other_version(_request: Request, error: Exception) -> Response:
    """Say that a database is another version's, as in the middle of an upgrade."""
    return PlainTextResponse(f"{error}\n", 503)


def _trusted_host(config: NodeConfig) -> list[Middleware]:
    """On loopback only our own names are answered; beyond it, signing in protects."""
    if not is_loopback(config.web.host):
        return []
    return [Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)]


@asynccontextmanager
async def _watched(_app: Starlette) -> AsyncIterator[None]:
    async def ping() -> None:
        while True:
            observe.notify_systemd("WATCHDOG=1")
            await asyncio.sleep(WATCHDOG_SECONDS)

    task = asyncio.create_task(ping())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _audit(path: Path, who: str, what: str, **facts: Any) -> None:
    audit.append(path, who, what, datetime.now(UTC).isoformat(), **facts)
