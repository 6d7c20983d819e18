"""The receiving role: lock, recover, listen, watch the disk, drain."""

from __future__ import annotations

import signal
import ssl
import sys
import threading
from functools import partial

import structlog

from node import disk
from node.config import NodeConfig, Receive
from node.inbox.layout import Inbox
from node.observe import notify_systemd
from node.receive.admission import Places, policy_of
from node.receive.contexts import contexts_for
from node.receive.reports import Reports
from node.receive.session import Receiver, serve
from node.receive.spool import clean_dead_folders
from node.receive.storage import Storage
from node.upper_layer import Deadlines, Listener, open_listener
from node.upper_layer.codec import prepare
from node.upper_layer.tls import client_context, server_context

log = structlog.get_logger()

_TICK_SECONDS = 1.0
_DRAIN_SECONDS = 25.0


def run(config: NodeConfig) -> int:
    """Receive until SIGTERM or SIGINT; 0 after a clean stop, 1 after a failure, 2 configuration."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    inbox = Inbox(config.inbox_dir)
    inbox.create()
    try:
        disk.lock_file(inbox.locks / "receive.lock")
    except disk.AlreadyLocked:
        return _fail("another receive role works on this data_dir", 1)
    _recover(inbox)
    storage = Storage(inbox, config.receive.min_free_bytes)
    policy = policy_of(config)
    deadlines = deadlines_of(config.receive)
    try:
        listening, reporting = tls_of(config.receive)
    except ssl.SSLError:
        return _fail("[receive.tls]: certificate, private key or client_ca cannot be used", 2)
    except OSError as error:  # the disk, or a file that is just being replaced
        return _fail(f"[receive.tls]: a file cannot be read: {error.strerror}", 1)
    reports = Reports(stop, config.receive, deadlines, reporting)
    if _reports_elsewhere(config.receive):
        reports.start()
    receiver = Receiver(inbox, config.receive, policy, Places(policy), storage, reports)
    try:
        listeners = listen(config.receive, receiver, deadlines, listening)
    except OSError as error:
        return _fail(f"[receive]: cannot listen: {error.strerror}", 1)
    _warn(config.receive)
    log.info("role_started", listeners=len(listeners))
    notify_systemd("READY=1")
    _watch(storage, stop)
    return _drain(listeners)


def _recover(inbox: Inbox) -> None:
    cleaned = clean_dead_folders(inbox)
    if cleaned:
        log.info("spool_cleaned", folders=cleaned)


def listen(
    receive: Receive, receiver: Receiver, deadlines: Deadlines, tls: ssl.SSLContext | None
) -> list[Listener]:
    """Open the plain port and the TLS port, whichever are configured."""
    contexts = contexts_for(receive, None)
    for peer in receive.peers:
        prepare(contexts_for(receive, peer))
    ports: list[tuple[int, ssl.SSLContext | None]] = []
    if receive.port:
        ports.append((receive.port, None))
    if receive.tls:
        ports.append((receive.tls.port, tls))
    listeners = []
    for port, context in ports:
        listener = open_listener(
            receive.ae_titles[0],
            receive.host,
            port,
            contexts,
            partial(serve, receiver=receiver),
            tls=context,
            deadlines=deadlines,
            max_pdu_length=receive.max_pdu_length,
        )
        listeners.append(listener)
    # Only when all ports are ours: a role that fails here has taken no peer.
    for listener, (port, context) in zip(listeners, ports, strict=True):
        listener.start()
        log.info("listener_opened", port=port, tls=context is not None)
    return listeners


def tls_of(receive: Receive) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Give what TLS peers are taken with, and what they are reported to with.

    Raises ssl.SSLError where a file is not what it should be, another OSError where it cannot be
    read.
    """
    files = receive.tls
    if files is None:
        return None, None
    listening = server_context(files.certificate, files.private_key, files.client_ca)
    if not _reports_elsewhere(receive):
        return listening, None
    return listening, client_context(files.client_ca, files.certificate, files.private_key)


def _reports_elsewhere(receive: Receive) -> bool:
    """Tell whether a peer hears of its commitment on an association that we open."""
    return any(peer.commitment and peer.host for peer in receive.peers)


def deadlines_of(receive: Receive) -> Deadlines:
    """Give a peer `idle_timeout_seconds` for each of its steps."""
    idle = receive.idle_timeout_seconds
    return Deadlines(
        connect=min(10, idle), associate=min(30, idle), idle=idle, answer=idle, write=idle
    )


def _warn(receive: Receive) -> None:
    if not receive.peers:
        log.warning("configuration_warning", what="no [[receive.peers]]: anyone may send")


def _watch(storage: Storage, stop: threading.Event) -> None:
    """Look at the disk once a second, and tell when it begins or ceases to take instances.

    A failure is told before the probe that may end it: however short, it refused an instance.
    """
    took = True
    while not stop.wait(_TICK_SECONDS):
        takes = storage.takes_instances()
        if takes != took:
            log.warning("disk_recovered" if takes else _what_ails(storage))
            notify_systemd("STATUS=receiving" if takes else "STATUS=the disk takes no instances")
            took = takes
        if storage.failed:
            storage.probe()
        notify_systemd("WATCHDOG=1")


def _what_ails(storage: Storage) -> str:
    return "storage_failed" if storage.failed else "disk_low"


def _drain(listeners: list[Listener]) -> int:
    """Let what is in hand be answered, end the rest; the threads share one deadline."""
    notify_systemd("STOPPING=1")
    log.info("role_stopping", connections=sum(listener.connections for listener in listeners))
    drains = [
        threading.Thread(target=listener.drain, args=(_DRAIN_SECONDS,)) for listener in listeners
    ]
    for thread in drains:
        thread.start()
    for thread in drains:
        thread.join()
    log.info("role_stopped")
    return 0


def _fail(message: str, code: int) -> int:
    print(f"receive: {message}", file=sys.stderr)  # noqa: T201 -- the one line for a person
    return code
