"""What becomes of a generation whose instances all have an outcome: released, held, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import bindparam, delete, select, update

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_instance, move_study
from node.inbox.tables import generation, instance, study
from node.outbox.manifest import ManifestInvalid
from node.process.finished import Finished, finished
from node.process.holding import hold, hold_untrusted
from node.process.judging import why_held
from node.process.numbering import last_released
from node.process.outcomes import variants_of
from node.process.outdated import make_anew_if_outdated
from node.process.queueing import has_jobs, queue_jobs, waiting_instances
from node.process.release import Chain, is_out, publish, record_release, reopen_for_late_instances
from node.process.staging import staged_files, staging_folder
from node.process.together import Postponed, Taken, take_together
from node.process.workplace import Transaction, Workplace, log

#: So many share a transaction: to be judged, and to be recorded when all of them are out.
AT_ONCE = 32
_DONE = select(study).where(
    study.c.state == StudyState.PROCESSING, study.c.done >= study.c.total, ~has_jobs()
)
_first = instance.alias()
_EQUAL = (
    select(instance.c.id, _first.c.id)
    .join(_first, _first.c.id == instance.c.conflict_with)
    .where(
        instance.c.study == bindparam("study_id"),
        instance.c.generation == bindparam("number"),
        instance.c.state == InstanceState.DEIDENTIFIED,
        _first.c.state == InstanceState.DEIDENTIFIED,
        _first.c.output_sha256 == instance.c.output_sha256,
    )
)


def close_generations(place: Workplace, chain: Chain, postponed: Postponed) -> Taken:
    """Deal with every generation that is done; one that fails stops no other."""
    with place.index.connect() as conn:
        done = postponed.leave_out(conn.execute(_DONE).all())
    failed: list[AnyRow] = []
    for first in range(0, len(done), AT_ONCE):
        failed += _close(place, chain, done[first : first + AT_ONCE])
    postponed.put(failed)
    return Taken(len(done) - len(failed), len(failed))


def _close(place: Workplace, chain: Chain, rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Close some generations; give those that the surroundings did not let be.

    Each goes out by itself, its files before its rename; all that are out get their rows at once.
    """
    amiss = partial(_amiss, place)
    waiting = [row for row in rows if not is_out(place, row)]
    out = [row for row in rows if row not in waiting]
    judged, failed = take_together(place, waiting, partial(_judge, place), amiss)
    for row, sound in judged:
        if sound is not None:
            published, again = _publish(place, chain, row, sound)
            out, failed = [*out, *published], [*failed, *again]
    _, again = take_together(place, out, partial(record_release, place), amiss)
    return [*failed, *again]


def _amiss(place: Workplace, transaction: Transaction, row: AnyRow, error: Exception) -> bool:
    """Hold a study; True where it is to be tried again instead."""
    if isinstance(error, ManifestInvalid):
        hold_untrusted(place, transaction, row, error)
        return False
    return _unforeseen(place, transaction, row, error)


def _unforeseen(place: Workplace, transaction: Transaction, row: AnyRow, error: Exception) -> bool:
    """Hold a study, unless it is out: then only its row is missing, and nobody can decide."""
    facts = observe.exception_facts(error)
    if is_out(place, row):
        log.error("role_failed", study=row.id, **facts)
        return True
    transaction.tell("role_failed", row.id, **facts)
    hold(transaction, row, f"unforeseen {facts['exception']}")
    return False


def _publish(
    place: Workplace, chain: Chain, row: AnyRow, sound: Finished
) -> tuple[list[AnyRow], list[AnyRow]]:
    """Let one generation go out: give the study if it did, or if that is to be tried again."""
    try:
        publish(place, chain, row, sound)
    except OSError as error:
        log.error("storage_failed", study=row.id, **observe.exception_facts(error))
        return [], [row]
    except Exception as error:  # noqa: BLE001 -- a person must see what nobody foresaw
        with place.transaction() as transaction:
            return [], [row] if _unforeseen(place, transaction, row, error) else []
    return [row], []


def _judge(place: Workplace, transaction: Transaction, row: AnyRow) -> Finished | None:
    """Give a generation that nothing speaks against; what else becomes of it is written."""
    this = finished(transaction, row)
    if make_anew_if_outdated(place, transaction, this):
        return None
    this = _without_equal_outputs(transaction, this)
    if _make_lost_files_anew(place, transaction, row, this.members):
        return None
    if reason := why_held(place, transaction, this):
        hold(transaction, row, reason)
        return None
    if not this.members:
        _nothing_new(transaction, row)
        return None
    return this


def _without_equal_outputs(transaction: Transaction, this: Finished) -> Finished:
    """Two instances of one SOP Instance UID and other bytes, yet of one output: a duplicate."""
    if not any(one.conflict_with for one in this.members):
        return this
    row = this.study
    which = {"study_id": row.id, "number": row.generation}
    equal = transaction.conn.execute(_EQUAL, which).all()
    for later, earlier in equal:
        move_instance(
            transaction.conn,
            later,
            InstanceState.DEIDENTIFIED,
            InstanceState.DUPLICATE,
            reason=f"de-identified, the same as {earlier}",
        )
        transaction.tell("instance_duplicate", row.id, instance=later)
    return this.without({later for later, _ in equal})


def _make_lost_files_anew(
    place: Workplace, transaction: Transaction, row: AnyRow, members: Sequence[AnyRow]
) -> bool:
    """Take an outcome back whose file is not there: rows never outweigh files."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    lost = [one.id for one in members if not _is_staged(folder, one, there)]
    for name in lost:
        move_instance(transaction.conn, name, InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)
    if lost:
        again = waiting_instances(transaction, row.id, row.generation, among=lost)
        queue_jobs(place, transaction, row.id, row.generation, again)
    return bool(lost)


def _is_staged(folder: Path, one: AnyRow, there: Collection[str]) -> bool:
    """Tell whether every file of an instance is there, under its first name or its last."""
    syntaxes = [variant.syntax for variant in variants_of(one)]
    names = (one.id, one.output_sop_instance_uid)
    files = zip(*(staged_files(folder, name, syntaxes) for name in names), strict=True)
    return all(made.name in there or final.name in there for made, final in files)


def _nothing_new(transaction: Transaction, row: AnyRow) -> None:
    """Take a later generation back of which nothing is left: what is out stands."""
    transaction.conn.execute(
        delete(generation).where(
            generation.c.study == row.id, generation.c.number == row.generation
        )
    )
    transaction.conn.execute(
        update(instance)
        .where(instance.c.study == row.id, instance.c.generation == row.generation)
        .values(generation=None)
    )
    move_study(
        transaction.conn,
        row.id,
        StudyState.PROCESSING,
        StudyState.RELEASED,
        transaction.now,
        generation=last_released(transaction.conn, row.id),
        reason="",
        override="",
        all_generations=False,
    )
    reopen_for_late_instances(transaction, row)
