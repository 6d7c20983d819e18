"""The role `web`: take the lock, listen, serve until told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import time

import structlog
import uvicorn

from node import observe
from node.config import NodeConfig
from node.disk import AlreadyLocked, lock_file
from node.inbox.layout import Inbox
from node.web.app import make_app

TICK_SECONDS = 0.2
#: Open event streams do not end by themselves; a page connects again.
DRAIN_SECONDS = 2
CONNECTIONS = 128
log = structlog.get_logger()


def run(config: NodeConfig) -> int:
    """Serve the status page until SIGTERM; 0 after a clean stop, 1 when it could not start."""
    inbox = Inbox(config.inbox_dir)
    inbox.create()
    try:
        lock_file(inbox.locks / "web.lock")
    except AlreadyLocked:
        return _refuse(f"another web role already works on {config.node.data_dir}")
    stop = _Stop()
    if config.web.port == 0:
        _rest(stop)
    else:
        try:
            listener = _listen(config)
        except OSError as error:
            where = f"{config.web.host} port {config.web.port}"
            return _refuse(f"cannot listen on {where}: {error.strerror}; change [web] in node.toml")
        log.info("role_started")
        log.info("listener_opened", host=config.web.host, port=config.web.port)
        observe.notify_systemd("READY=1")
        _serve(config, listener)
    log.info("role_stopped")
    return 0


class _Stop:
    """Whether somebody asked this role to stop. uvicorn hears first, and then lets us hear."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self.asked = True


def _rest(stop: _Stop) -> None:
    """Live without a page, as systemd and the supervisor expect of a role, until told to stop."""
    log.info("role_started", port=0)
    observe.notify_systemd("READY=1")
    while not stop.asked:
        observe.notify_systemd("WATCHDOG=1")
        time.sleep(TICK_SECONDS)
    _tell_stopping()


class _Server(uvicorn.Server):
    """uvicorn's, which tells that it begins to stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _tell_stopping()
        await super().shutdown(sockets)


def _tell_stopping() -> None:
    log.info("role_stopping")
    observe.notify_systemd("STOPPING=1")


def _listen(config: NodeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.web.host else socket.AF_INET
    return socket.create_server((config.web.host, config.web.port), family=family)


def _serve(config: NodeConfig, listener: socket.socket) -> None:
    tls = config.web.tls
    settings = uvicorn.Config(
        make_app(config),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.private_key if tls else None,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    _Server(settings).run(sockets=[listener])


def _refuse(text: str) -> int:
    sys.stderr.write(f"deid-node web: {text}\n")
    return 1
