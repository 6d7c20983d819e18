"""`deid-node run`: the four roles as child processes, restarted with back-off, stopped in order.

No health logic: a role that is alive is left alone, a role that died is started again and finds
its work in folders and rows. Roles end with their supervisor, however it ends; what a killed role
leaves behind (a worker in the middle of a job) becomes the supervisor's child and is ended too.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from node import observe
from node.config import NodeConfig
from node.disk import AlreadyLocked, lock_file

#: Started so that what a role waits for is under way before it; stopped from the wire inwards.
START_ORDER = ("process", "forward", "web", "receive")
STOP_ORDER = ("receive", "process", "forward", "web")
#: Looked at so often, and at once when a child ends or somebody asks to stop.
TICK_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
#: A role that lived this long before it died starts again at the first back-off.
STEADY_SECONDS = 60.0
#: A role that gives up this soon after its very first start cannot start: the node stops.
START_SECONDS = 15.0
#: A role drains in 30 s by contract; then it is killed.
STOP_SECONDS = 35.0
CANNOT_START = 1
MISCONFIGURED = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
log = structlog.get_logger()


@dataclass(slots=True)
class Role:
    """A role and its process, if it lives."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts: int = 0
    backoff: float = FIRST_BACKOFF_SECONDS
    start_at: float = 0.0


@dataclass(slots=True)
class Signals:
    """How often somebody asked this process to stop: once to drain, twice to stop now."""

    stops: int = field(default=0)
    #: The end of a pipe that becomes readable with each signal; `listen` opens it.
    _wakened: int = -1  # no descriptor

    def listen(self) -> None:
        """Count SIGTERM and SIGINT from now on, and let each signal end a wait."""
        self._wakened, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        # A signal without a handler is not written to the pipe: a child's end would end no wait.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the next signal: a child's end, or an order to stop."""
        select.select([self._wakened], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wakened, 512)

    def _stop(self, _number: int, _frame: object) -> None:
        self.stops += 1


def supervise(config: NodeConfig, config_path: Path | None) -> int:
    """Run the roles until told to stop; give the exit code of `deid-node run`."""
    data_dir = config.node.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o770)
    try:
        lock_file(data_dir / "run.lock")
    except AlreadyLocked:
        sys.stderr.write(f"deid-node run: another one already works on {data_dir}\n")
        return CANNOT_START
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signals = Signals()
    signals.listen()
    roles = {name: Role(name) for name in START_ORDER}
    log.info("role_started", wall="code: all roles run as one user; systemd gives each its own")
    code = _loop(roles, config_path, signals)
    log.info("role_stopping")
    observe.notify_systemd("STOPPING=1")
    _stop_in_order(roles, signals)
    log.info("role_stopped", code=code)
    return code


def _loop(roles: dict[str, Role], config_path: Path | None, signals: Signals) -> int:
    ready = False
    while not signals.stops:
        now = time.monotonic()
        for role in roles.values():
            if role.process is None and now >= role.start_at:
                _start(role, config_path, now)
            code = _reap(role, now)
            if code:
                return code
        _end_orphans(roles)
        if not ready:
            observe.notify_systemd("READY=1")
            ready = True
        signals.wait(TICK_SECONDS)
    return 0


def _start(role: Role, config_path: Path | None, now: float) -> None:
    command = [sys.executable, "-m", "node", role.name]
    if config_path is not None:
        command += ["-c", str(config_path)]
    # preexec_fn: this process has one thread, and the call allocates nothing.
    role.process = subprocess.Popen(command, preexec_fn=_die_with_parent)  # noqa: PLW1509
    role.started = now
    role.starts += 1


def _die_with_parent() -> None:
    """Have the kernel send SIGTERM, so drain, when the supervisor is gone however it went."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _reap(role: Role, now: float) -> int:
    """Note a role's death and when to start it again; a code above 0 says: stop the node."""
    code = role.process.poll() if role.process else None
    if code is None:
        return 0
    role.process = None
    lived = now - role.started
    if code == MISCONFIGURED or (
        code == CANNOT_START and role.starts == 1 and lived < START_SECONDS
    ):
        log.error("role_failed", child=role.name, code=code)
        return code
    if lived >= STEADY_SECONDS:
        role.backoff = FIRST_BACKOFF_SECONDS
    role.start_at = now + role.backoff
    log.error("role_died", child=role.name, code=code, restart_in_seconds=role.backoff)
    role.backoff = min(role.backoff * 2, MAX_BACKOFF_SECONDS)
    return 0


def _stop_in_order(roles: dict[str, Role], signals: Signals) -> None:
    for name in STOP_ORDER:
        process = roles[name].process
        if process is None:
            continue
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None and time.monotonic() < deadline and signals.stops < 2:  # noqa: PLR2004 -- the second asks for haste
            signals.wait(TICK_SECONDS)
        if process.poll() is None:
            log.error("role_failed", child=name, reason="did not stop in time; killed")
            process.kill()
        process.wait()
        roles[name].process = None
        _end_orphans(roles)


def _end_orphans(roles: dict[str, Role]) -> None:
    """Kill and reap the children that are not roles: workers whose role is gone."""
    known = {role.process.pid for role in roles.values() if role.process}
    children = Path("/proc/thread-self/children").read_text(encoding="ascii").split()
    for pid in {int(child) for child in children} - known:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
