"""The pages and streams by their addresses, and what every answer carries."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from node.config import NodeConfig
from node.web import health, pages
from node.web.headers import SafeHeaders
from node.web.live import Snapshots
from node.web.words import add_words

HERE = Path(__file__).parent
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
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK),
            Middleware(SafeHeaders),
        ],
    )
    app.state.config = config
    app.state.snapshots = Snapshots(config)
    app.state.templates = add_words(Jinja2Templates(directory=HERE / "templates"))
    return app
