"""`process`: the door between the zones. Its story: lock, key, recover, tick until told to stop.

A tick takes every study one step further; what a step needs is a file in a named folder or a row
in a named state, so a run may end anywhere.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog

from node import disk, observe
from node.config import NodeConfig
from node.database import DatabaseTooNew
from node.inbox.layout import Inbox
from node.outbox.manifest import ManifestInvalid
from node.outbox.signing import SigningKeyError
from node.pool import Ended, Pool, PoolBroken, give_way, take_temporary_folder
from node.process.adoption import BATCH, adopt
from node.process.ahead import Ahead
from node.process.audit import check_totals
from node.process.beginning import begin_generations
from node.process.clock import save_anchor
from node.process.closing import close_generations
from node.process.completing import complete_studies
from node.process.deciding import apply_decisions
from node.process.housekeeping import Housekeeping, keep_house
from node.process.keys import KeyRefused
from node.process.opening import open_workplace
from node.process.progress import Progress, under_way
from node.process.recording import record
from node.process.recovery import recover
from node.process.release import Chain
from node.process.retention import finish_purging
from node.process.starting import start_jobs
from node.process.together import Postponed, Taken
from node.process.warming import tell_profiles
from node.process.workplace import Workplace
from node.profile import ProfileError
from node.profile.key import KeyInvalid
from node.profile.load import find_profile

#: How long a tick waits for a job to end before the next looks for files and decisions again. So
#: what arrives is adopted a few times a second, in batches: fewer transactions, fewer syncs.
TICK_SECONDS = 0.2
#: With no study under way, rows are looked at only so often; files and decisions at every tick.
IDLE_SECONDS = 2.0
#: How long running jobs may take to end when the role is told to stop.
DRAIN_SECONDS = 20.0
#: After the surroundings failed us (a full disk), so long nothing is started or released.
TROUBLE_SECONDS = 5.0
#: Between `receive`, where a sender waits for its answer, and the workers.
NICENESS = 5
PRELOAD = ("pydicom", "node.process.preload_last")
log = structlog.get_logger()


@dataclass(slots=True)
class Run:
    """What a run holds in memory, and may lose."""

    place: Workplace
    pool: Pool
    chain: Chain
    ahead: Ahead = field(default_factory=Ahead)
    progress: Progress = field(default_factory=Progress)
    housekeeping: Housekeeping = field(default_factory=Housekeeping)
    postponed: Postponed = field(default_factory=lambda: Postponed(TROUBLE_SECONDS))
    stopping: bool = False
    adopted_at: float = 0.0
    trouble_until: float = 0.0
    idle_until: float = 0.0
    backlog: bool = False


def run(config: NodeConfig) -> int:
    """Run the role until SIGTERM or SIGINT: 0 stopped, 1 cannot work here, 2 key or profile."""
    give_way(NICENESS)
    inbox = Inbox(config.inbox_dir)
    inbox.create()
    with ExitStack() as closing:
        try:
            closing.callback(os.close, disk.lock_file(inbox.locks / "process.lock"))
            place, chain = open_workplace(config, inbox, closing)
        except disk.AlreadyLocked:
            return _refuse(1, f"another `process` works in {config.node.data_dir} already")
        except (DatabaseTooNew, ManifestInvalid) as error:
            return _refuse(1, str(error))
        except (KeyRefused, KeyInvalid, SigningKeyError) as error:
            return _refuse(2, str(error))
        except ProfileError as error:
            return _refuse(2, "; ".join(str(mistake) for mistake in error.mistakes))
        closing.callback(take_temporary_folder("process", config.node.data_dir))
        tell_profiles(
            find_profile(route.profile, config.folder) for route in config.effective_routes
        )
        this = Run(place, Pool(place.slots, PRELOAD), chain, adopted_at=place.last_seen)
        _listen(this)
        recover(place)
        finish_purging(place)
        log.info("role_started", workers=place.slots)
        observe.notify_systemd("READY=1")
        while not this.stopping:
            tick(this)
        _drain(this)
    return 0


def tick(this: Run) -> None:
    """Take every study one step further; wait for work if nothing more can be done at once."""
    came = apply_decisions(this.place) + _adopt(this)
    steps = 0
    if came or time.monotonic() >= this.idle_until:
        steps = _take_steps(this)
    _record(this, this.pool.collect(0.0 if steps or this.backlog else TICK_SECONDS))
    keep_house(this.place, this.housekeeping)
    observe.notify_systemd("WATCHDOG=1")


def _take_steps(this: Run) -> int:
    """Take the steps that rows ask for, and return how many were taken."""
    place = this.place
    completed = 0
    if not this.backlog:  # what lies there unread may belong to studies that look complete
        completed = complete_studies(place)
    begun = started = closed = 0
    can_work = not _in_trouble(this)
    if can_work:
        begun = _done(this, begin_generations(place, this.ahead, this.postponed))
    this.progress.tell(place)
    if can_work:  # workers first: they are busy while we close what others have done
        started = _start_jobs(this)
        closed = _done(this, close_generations(place, this.chain, this.postponed))
    check_totals(place, this.housekeeping.audit)
    this.idle_until = 0.0 if under_way(place) else time.monotonic() + IDLE_SECONDS
    return completed + begun + closed + started


def _adopt(this: Run) -> int:
    now = this.place.clock.now()
    adopted = adopt(this.place, since=this.adopted_at)
    this.ahead.offer(adopted.rows)
    this.adopted_at = now
    this.backlog = adopted.files == BATCH
    return adopted.files


def _done(this: Run, taken: Taken) -> int:
    """Give how many studies took a step; pause where the surroundings let none of several."""
    if taken.failed > 1 and not taken.done:
        _pause(this)
    return taken.done


def _start_jobs(this: Run) -> int:
    try:
        return start_jobs(this.place, this.pool) + this.ahead.start(this.place, this.pool)
    except PoolBroken as error:
        _pause(this)
        log.warning("worker_died", **observe.exception_facts(error))
        return 0


def _pause(this: Run) -> None:
    """Give failing surroundings a while, instead of failing at every tick."""
    this.trouble_until = time.monotonic() + TROUBLE_SECONDS


def _in_trouble(this: Run) -> bool:
    return time.monotonic() < this.trouble_until


def _record(this: Run, ended: Sequence[Ended]) -> None:
    if not ended:
        return
    this.idle_until = 0.0
    early = [one for one in ended if one.token in this.ahead.active]
    trouble = [this.ahead.note(this.place, one) for one in early]
    if due := [one for one in ended if one not in early]:
        trouble.append(record(this.place, due))
    if any(trouble):
        _pause(this)


def _drain(this: Run) -> None:
    """Start nothing more, and record what the running jobs still bring."""
    observe.notify_systemd("STOPPING=1")
    log.info("role_stopping", jobs=this.pool.active)
    deadline = time.monotonic() + DRAIN_SECONDS
    while this.pool.active and time.monotonic() < deadline:
        _record(this, this.pool.collect(TICK_SECONDS))
    this.pool.stop()
    close_generations(this.place, this.chain, this.postponed)
    with this.place.transaction() as transaction:
        save_anchor(transaction.conn, this.place.clock)
    log.info("role_stopped")


def _listen(this: Run) -> None:
    def stop(_number: int, _frame: object) -> None:
        this.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _refuse(code: int, text: str) -> int:
    print(f"deid-node process: {text}", file=sys.stderr)  # noqa: T201 -- the role's one line
    return code
