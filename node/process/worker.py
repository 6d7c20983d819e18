"""What runs in a worker: each file is de-identified, validated from disk, and made durable.

A worker gets file references and answers with outcomes; it knows no index and no network.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from node import disk, observe
from node.deid import Held as EngineHeld
from node.deid import NotAccepted, deidentify
from node.deid import Quarantined as EngineQuarantined
from node.inbox.originals import dataset_digest
from node.process.messages import (
    Deidentify,
    Done,
    Excluded,
    Failed,
    FileReference,
    Held,
    Outcome,
    Quarantined,
    Ready,
)
from node.profile.recipe import Recipe
from node.validate import Severity, Verdict, validate

#: Errors of the surroundings: no instance is to blame, and trying again later may help.
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


def treat(message: Deidentify) -> Done:
    """Do a job; an instance that fails does not stop the others."""
    return Done(message.job, tuple(_outcome(file, message.recipe) for file in message.files))


def _outcome(file: FileReference, recipe: Recipe) -> Outcome:
    file.target.unlink(missing_ok=True)  # what a killed worker left
    try:
        outcome = _treat_one(file, recipe)
    except NotAccepted as error:
        outcome = Excluded(file.instance, error.reason)
    except EngineQuarantined as error:
        outcome = Quarantined(file.instance, error.reason)
    except EngineHeld as error:
        outcome = Held(file.instance, error.reason)
    except OSError as error:
        outcome = _failed(file.instance, error, passing=error.errno in _PASSING)
    except MemoryError:
        raise  # of the chunk or of this instance? trying again, alone at last, will tell
    except Exception as error:  # noqa: BLE001 -- a bug on one instance must not take the others down
        outcome = _failed(file.instance, error, passing=False)
    if not isinstance(outcome, Ready):
        file.target.unlink(missing_ok=True)
    return outcome


def _treat_one(file: FileReference, recipe: Recipe) -> Outcome:
    deidentified = deidentify(file.source, file.target, recipe)
    verdict = validate(file.source, file.target, recipe)
    if verdict.excludes:
        return Excluded(file.instance, _why_excluded(verdict), verdict.findings)
    _seal(file.target)
    return Ready(file.instance, dataset_digest(file.source), deidentified, verdict)


def _why_excluded(verdict: Verdict) -> str:
    excluding = [one for one in verdict.findings if one.severity is Severity.EXCLUDE]
    return "; ".join(dict.fromkeys(one.explanation for one in excluding))


def _seal(target: Path) -> None:
    """Make the validated bytes durable and, from here on, read-only."""
    fd = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o440)
        disk.fsync(fd)
    finally:
        os.close(fd)


def _failed(instance: str, error: Exception, *, passing: bool) -> Failed:
    facts = observe.exception_facts(error)
    return Failed(instance, facts["exception"], tuple(facts["stack"]), passing)
