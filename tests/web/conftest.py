"""A web role over made-up folders, as a client in the same process and as a server of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from node.config import NodeConfig
from node.web.app import make_app
from tests.web.filled import filled_node

Ask = Callable[..., TestClient]


@pytest.fixture(name="ask")
def _ask(tmp_path: Path) -> Ask:
    """Give a client of a node that has worked on so many studies."""

    def ask(studies: int = 4, extra: str = "") -> TestClient:
        return TestClient(
            make_app(filled_node(tmp_path, studies, extra)), base_url="http://127.0.0.1"
        )

    return ask


@pytest.fixture(name="serve")
def _serve() -> Iterator[Callable[[NodeConfig], str]]:
    """Serve a node's pages on a port of their own and give their address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(config: NodeConfig) -> str:
        settings = uvicorn.Config(
            make_app(config), port=0, log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
