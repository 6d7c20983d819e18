"""What runs in a worker: each file is de-identified, validated from disk, and made durable.

A destination that takes only other transfer syntaxes gets a variant, which is validated as well.

A worker gets file references and answers with outcomes; it knows no index and no network.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from pydicom.uid import UID

from node import disk, observe
from node.deid import Held as EngineHeld
from node.deid import NotAccepted, deidentify
from node.deid import Quarantined as EngineQuarantined
from node.inbox.dataset_digest import dataset_digest
from node.pixels.transcode import CannotTranscode
from node.pixels.variants import (
    MadeVariant,
    Wish,
    make_variants,
    remove_variants,
    variant_path,
)
from node.process.messages import (
    Deidentify,
    Done,
    Duplicate,
    Excluded,
    Failed,
    FileReference,
    Held,
    Outcome,
    Quarantined,
    Ready,
    Variant,
)
from node.profile import Profile
from node.profile.recipe import Recipe
from node.validate import Finding, Severity, Verdict, are_twins, validate

#: Errors of the surroundings: no instance is to blame, and trying again later may help.
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
#: Files that the disk is told of at a time.
_AT_ONCE = 8
_known: dict[tuple[str, str, Path | None], Profile] = {}


def treat_all(messages: tuple[Deidentify, ...]) -> tuple[Done, ...]:
    """Do the jobs that share this worker, one after the other.

    One that cannot even begin, because its study was rejected meanwhile, say, has no reply and
    takes no other along.
    """
    done = []
    for message in messages:
        try:
            done.append(treat(message))
        except OSError:
            if len(messages) == 1:
                raise
    return tuple(done)


def treat(message: Deidentify) -> Done:
    """Do a job; an instance that fails does not stop the others.

    Files are synced when all are written: the disk takes them in one go, not one by one.
    """
    _clean(message.files)
    recipe = replace(message.recipe, profile=know(message.recipe.profile))
    outcomes = _outcomes(message.files, recipe, message.wishes)
    sealed = map(_sealed, message.files, outcomes)
    return Done(message.job, tuple(sealed))


def know(profile: Profile) -> Profile:
    """Give the profile of this digest that the process knows, with what it has decided already."""
    return _known.setdefault((profile.name, profile.digest, profile.lookup), profile)


def _clean(files: Sequence[FileReference]) -> None:
    """Remove what a killed worker left of these instances, variants included."""
    names = {file.instance for file in files}
    for folder in {file.target.parent for file in files}:
        for path in folder.iterdir():
            if path.stem.partition("_")[0] in names:
                path.unlink()


def _outcomes(
    files: Sequence[FileReference], recipe: Recipe, wishes: Sequence[Wish]
) -> list[Outcome]:
    """Treat all files; the disk begins with some while the next are treated.

    Not with each by itself: the most of what that costs is the request, whatever its size.
    """
    outcomes: list[Outcome] = []
    for begin in range(0, len(files), _AT_ONCE):
        some = files[begin : begin + _AT_ONCE]
        outcomes += [_outcome(file, recipe, wishes) for file in some]
        for path in chain.from_iterable(map(_written, some, outcomes[begin:])):
            with suppress(OSError):  # it promises nothing; what is wrong, sealing will tell
                disk.begin_writing_back(path)
    return outcomes


def _written(file: FileReference, outcome: Outcome) -> list[Path]:
    """Give the files that lie there now."""
    if not isinstance(outcome, Ready):
        return []
    variants = [variant_path(file.target, variant.syntax) for variant in outcome.variants]
    return [file.target, *variants]


def _outcome(file: FileReference, recipe: Recipe, wishes: Sequence[Wish]) -> Outcome:
    try:
        outcome = _treat_one(file, recipe, wishes)
    except NotAccepted as error:
        outcome = Excluded(file.instance, error.reason)
    except EngineQuarantined as error:
        outcome = Quarantined(file.instance, error.reason)
    except EngineHeld as error:
        outcome = Held(file.instance, error.reason)
    except CannotTranscode as reason:
        outcome = Held(file.instance, str(reason))
    except OSError as error:
        outcome = _failed(file.instance, error, passing=error.errno in _PASSING)
    except MemoryError:
        raise  # of the chunk or of this instance? trying again, alone at last, will tell
    except Exception as error:  # noqa: BLE001 -- a bug on one instance must not take the others down
        outcome = _failed(file.instance, error, passing=False)
    if not isinstance(outcome, Ready):
        _remove(file.target)
    return outcome


def _remove(target: Path) -> None:
    target.unlink(missing_ok=True)
    remove_variants(target)


def _treat_one(file: FileReference, recipe: Recipe, wishes: Iterable[Wish]) -> Outcome:
    deidentified = deidentify(file.source, file.target, recipe)
    verdict = validate(file.source, file.target, recipe)
    if verdict.excludes:
        return Excluded(file.instance, _why_excluded(verdict), verdict.findings)
    if file.twin is not None and _repeats(file, file.twin, recipe):
        reason = f"de-identified, the same as {file.twin.stem} in another transfer syntax"
        return Duplicate(file.instance, reason)
    made = make_variants(file.target, deidentified.transfer_syntax_uid, wishes)
    proofs = [validate(file.source, one.path, recipe) for one in made]
    variants = tuple(
        Variant(one.syntax, proof.bytes, proof.sha256)
        for one, proof in zip(made, proofs, strict=True)
    )
    if made:
        findings = (*verdict.findings, *_of_variants(made, proofs, verdict.findings))
        verdict = replace(verdict, findings=findings)
    digest = verdict.source_digest or dataset_digest(file.source)
    return Ready(file.instance, digest, deidentified, verdict, variants)


def _repeats(file: FileReference, twin: Path, recipe: Recipe) -> bool:
    """Tell whether an output is that of its twin, which is made again beside it to be compared."""
    aside = file.target.with_name(f"{file.instance}_twin.dcm")
    try:
        return twin.exists() and are_twins(_made_again(twin, aside, recipe), file.target)
    except (EngineHeld, EngineQuarantined):
        return False
    finally:
        aside.unlink(missing_ok=True)


def _made_again(source: Path, target: Path, recipe: Recipe) -> Path:
    deidentify(source, target, recipe)
    return target


def _of_variants(
    made: Sequence[MadeVariant], proofs: Sequence[Verdict], known: Sequence[Finding]
) -> Iterator[Finding]:
    """Tell what was found in a variant and not in the file that it was made of."""
    for one, proof in zip(made, proofs, strict=True):
        for finding in proof.findings:
            if finding not in known:
                where = f"As {UID(one.syntax).name}: "
                yield replace(finding, explanation=where + finding.explanation)


def _why_excluded(verdict: Verdict) -> str:
    excluding = [one for one in verdict.findings if one.severity is Severity.EXCLUDE]
    return "; ".join(dict.fromkeys(one.explanation for one in excluding))


def _sealed(file: FileReference, outcome: Outcome) -> Outcome:
    """Make the validated bytes durable and, from here on, read-only."""
    try:
        for path in _written(file, outcome):
            _seal(path)
    except OSError as error:
        _remove(file.target)
        return _failed(file.instance, error, passing=error.errno in _PASSING)
    return outcome


def _seal(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o440)
        disk.fsync(fd)
    finally:
        os.close(fd)


def _failed(instance: str, error: Exception, *, passing: bool) -> Failed:
    facts = observe.exception_facts(error)
    return Failed(instance, facts["exception"], tuple(facts["stack"]), passing)
