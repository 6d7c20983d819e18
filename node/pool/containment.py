"""What a job's process may do: die with its parent, use so much memory and time, no network."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
#: Jobs take the time that others leave: who waits for an answer to a C-STORE goes first.
_NICENESS = 10
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use: bytes beyond what is mapped when it starts, and seconds of CPU.

    `spare_time`: only in time that no other process of the machine wants.
    """

    memory_bytes: int
    cpu_seconds: int
    spare_time: bool = False


def give_way(niceness: int) -> None:
    """Let whoever is less nice go first; a process that is nicer already stays so."""
    with suppress(OSError):  # the filter of web's unit forbids it; there Nice= is for all
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, max(own, niceness))


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread of `parent` that started it ends."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def leave_network() -> bool:
    """Move to a network namespace without interfaces; tell whether the kernel let us.

    Under systemd the unit's PrivateNetwork does it for us, and this is refused. Must be called
    while the process has one thread.
    """
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return True
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with suppress(OSError):  # our own ids inside, so that files are made as ours
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def leave_no_core() -> None:
    """Never write memory, which holds PHI, to a core file or to a core dump's reader."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_DUMPABLE, 0)  # a limit of 0 does not stop a core_pattern that pipes


def keep_within(limits: Limits) -> None:
    """Hold this process to its limits from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # SIGXCPU at the first, SIGKILL at the second; both end the job.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    if not limits.spare_time:
        give_way(_NICENESS)
        return
    with suppress(OSError):  # systemd's filter may forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
