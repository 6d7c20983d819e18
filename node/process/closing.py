"""What becomes of a generation whose instances all have an outcome: released, held, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from node import observe
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_instance, move_study
from node.inbox.tables import generation, instance, study
from node.outbox.manifest import ManifestInvalid
from node.process.holding import hold, untrusted
from node.process.judging import why_held
from node.process.numbering import last_released
from node.process.outcomes import variants_of
from node.process.outdated import make_anew_if_outdated
from node.process.queueing import has_jobs, queue_jobs, waiting_instances
from node.process.release import Chain, is_out, publish, record_release, reopen_for_late_instances
from node.process.staging import staged_files, staging_folder
from node.process.workplace import Transaction, Workplace, log


@dataclass(frozen=True, slots=True)
class Closed:
    """How many generations were dealt with, and how many the surroundings did not let be."""

    done: int
    failed: int


def close_generations(place: Workplace, chain: Chain) -> Closed:
    """Deal with every generation that is done; one that fails stops no other."""
    query = select(study).where(
        study.c.state == StudyState.PROCESSING, study.c.done >= study.c.total
    )
    with place.index.connect() as conn:
        done = conn.execute(query.where(~has_jobs())).all()
    outcomes = [_close_safely(place, chain, row) for row in done]
    return Closed(outcomes.count(True), outcomes.count(False))


def _close_safely(place: Workplace, chain: Chain, row: AnyRow) -> bool:
    """Close one generation; what goes wrong with it stops no other study."""
    try:
        _close(place, chain, row)
    except (OSError, OperationalError) as error:  # a full disk, say: it is tried again
        log.error("storage_failed", study=row.id, **observe.exception_facts(error))
        return False
    except ManifestInvalid as error:
        with place.transaction() as transaction:
            hold(transaction, row, untrusted(error))
    except Exception as error:  # noqa: BLE001 -- a person must see what nobody foresaw
        facts = observe.exception_facts(error)
        if is_out(place, row):  # only its row is missing, and nobody can decide about it any more
            log.error("role_failed", study=row.id, **facts)
            return False
        with place.transaction() as transaction:
            transaction.tell("role_failed", row.id, **facts)
            hold(transaction, row, f"unforeseen {facts['exception']}")
    return True


def _close(place: Workplace, chain: Chain, row: AnyRow) -> None:
    if is_out(place, row) or _publish_if_sound(place, chain, row):
        with place.transaction() as transaction:
            record_release(place, transaction, row)


def _publish_if_sound(place: Workplace, chain: Chain, row: AnyRow) -> bool:
    """Release a generation that nothing speaks against; tell whether it is out now."""
    with place.transaction() as transaction:
        if make_anew_if_outdated(place, transaction, row):
            return False
        _drop_equal_outputs(transaction, row)
        members = _members(transaction, row)
        if _make_lost_files_anew(place, transaction, row, members):
            return False
        if reason := why_held(place, transaction, row, members):
            hold(transaction, row, reason)
            return False
        if not members:
            _nothing_new(transaction, row)
            return False
    publish(place, chain, row, members)
    return True


def _members(transaction: Transaction, row: AnyRow) -> Sequence[AnyRow]:
    query = select(instance).where(
        instance.c.study == row.id,
        instance.c.generation == row.generation,
        instance.c.state == InstanceState.DEIDENTIFIED,
    )
    return transaction.conn.execute(query.order_by(instance.c.id)).all()


def _drop_equal_outputs(transaction: Transaction, row: AnyRow) -> None:
    """Two instances of one SOP Instance UID and other bytes, yet of one output: a duplicate."""
    first = instance.alias()
    query = (
        select(instance.c.id, first.c.id)
        .join(first, first.c.id == instance.c.conflict_with)
        .where(
            instance.c.study == row.id,
            instance.c.generation == row.generation,
            instance.c.state == InstanceState.DEIDENTIFIED,
            first.c.state == InstanceState.DEIDENTIFIED,
            first.c.output_sha256 == instance.c.output_sha256,
        )
    )
    for later, earlier in transaction.conn.execute(query).all():
        move_instance(
            transaction.conn,
            later,
            InstanceState.DEIDENTIFIED,
            InstanceState.DUPLICATE,
            reason=f"de-identified, the same as {earlier}",
        )
        transaction.tell("instance_duplicate", row.id, instance=later)


def _make_lost_files_anew(
    place: Workplace, transaction: Transaction, row: AnyRow, members: Sequence[AnyRow]
) -> bool:
    """Take an outcome back whose file is not there: rows never outweigh files."""
    folder = staging_folder(place.outbox, row.id, row.generation)
    lost = [one.id for one in members if not _is_staged(folder, one)]
    for name in lost:
        move_instance(transaction.conn, name, InstanceState.DEIDENTIFIED, InstanceState.RECEIVED)
    if lost:
        again = waiting_instances(transaction, row.id, row.generation, among=lost)
        queue_jobs(place, transaction, row.id, row.generation, again)
    return bool(lost)


def _is_staged(folder: Path, one: AnyRow) -> bool:
    """Tell whether every file of an instance is there, under its first name or its last."""
    syntaxes = [variant.syntax for variant in variants_of(one)]
    names = (one.id, one.output_sop_instance_uid)
    files = zip(*(staged_files(folder, name, syntaxes) for name in names), strict=True)
    return all(made.exists() or final.exists() for made, final in files)


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
