"""COMPLETE -> PROCESSING: a study's route is chosen, and its waiting instances become jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from node import observe
from node.config import Route
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState, StudyState, move_study
from node.inbox.tables import generation, instance, job, study
from node.process.chunks import Waiting, cut
from node.process.patients import Consent, ListUnreadable, Patient, consent_of, identity
from node.process.rejecting import reject
from node.process.routing import NoRoute, Sender, choose_route
from node.process.staging import release_name
from node.process.workplace import Transaction, Workplace

#: So many studies are with the workers at once; more wait as COMPLETE, so that rows stay few.
MOST_STUDIES = 256


class CannotBegin(Exception):  # noqa: N818 -- a fact about the study
    """The study needs a person before anything of it can be treated; the text says why."""


def begin_generations(place: Workplace) -> int:
    """Take up the complete studies, oldest first, and return how many moved on."""
    with place.index.connect() as conn:
        busy = conn.execute(
            select(func.count()).where(study.c.state == StudyState.PROCESSING)
        ).scalar_one()
        ready = conn.execute(
            select(study)
            .where(study.c.state == StudyState.COMPLETE)
            .order_by(study.c.state_since)
            .limit(max(0, MOST_STUDIES - busy))
        ).all()
    for row in ready:
        try:
            with place.transaction() as transaction:
                _begin(place, transaction, row)
        except Exception as error:  # noqa: BLE001 -- one study must not stop the others
            facts = observe.exception_facts(error)
            with place.transaction() as transaction:
                transaction.tell("role_failed", row.id, **facts)
                _hold(transaction, row.id, f"unforeseen {facts['exception']}")
    return len(ready)


def queue_jobs(
    place: Workplace, transaction: Transaction, study_id: str, number: int, waiting: list[Waiting]
) -> None:
    """Cut instances into jobs of a generation."""
    options = place.config.process
    chunks = cut(waiting, options.chunk_instances, options.max_attempts, place.slots)
    rows = [
        {
            "study": study_id,
            "generation": number,
            "state": "QUEUED",
            "instances": json.dumps(chunk.instances),
            "bytes": chunk.bytes,
            "largest": chunk.largest,
        }
        for chunk in chunks
    ]
    if rows:
        transaction.conn.execute(insert(job), rows)


def waiting_instances(transaction: Transaction, *conditions: Any) -> list[Waiting]:
    """List the instances without an outcome that nothing holds up."""
    query = select(instance.c.id, instance.c.bytes, instance.c.attempts).where(
        instance.c.state == InstanceState.RECEIVED, instance.c.waits_for.is_(None), *conditions
    )
    return [Waiting(*row) for row in transaction.conn.execute(query.order_by(instance.c.id))]


def _begin(place: Workplace, transaction: Transaction, row: AnyRow) -> None:
    members = _members(transaction, row.id)
    try:
        route = _route_of(place, row, members)
        patients = _patients(members, route)
        consent = consent_of(route, patients)
        _one_patient(patients)
    except (CannotBegin, NoRoute, ListUnreadable) as reason:
        _hold(transaction, row.id, str(reason))
        return
    if consent is Consent.DENIED:
        reject(transaction, row.id, StudyState.COMPLETE, "the patient is on the deny list")
    elif consent is Consent.NOT_ALLOWED:
        _hold(transaction, row.id, "the patient is not on the allow list")
    else:
        _start(place, transaction, row, route)


def _members(transaction: Transaction, study_id: str) -> Sequence[AnyRow]:
    """Tell what kinds of instances count: by sender, modality and patient, those that may leave."""
    columns = instance.c
    query = (
        select(
            columns.called_ae_title, columns.calling_ae_title, columns.modality,
            columns.issuer_of_patient_id, columns.patient_id,
        )
        .where(
            columns.study == study_id,
            columns.state.in_((InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)),
            columns.patient_id.is_not(None),
        )
        .distinct()
    )  # fmt: skip
    return transaction.conn.execute(query).all()


def _route_of(place: Workplace, row: AnyRow, members: Iterable[AnyRow]) -> Route:
    routes = place.config.effective_routes
    if row.route:
        for route in routes:
            if route.name == row.route:
                return route
        raise CannotBegin(f"its route {row.route} is no longer configured")
    senders = {Sender(one.called_ae_title, one.calling_ae_title) for one in members}
    return choose_route(routes, senders, {one.modality for one in members})


def _patients(members: Iterable[AnyRow], route: Route) -> set[Patient]:
    return {
        identity(one.issuer_of_patient_id, one.patient_id, route.default_issuer) for one in members
    }


def _one_patient(patients: set[Patient]) -> None:
    if any(not patient.patient_id for patient in patients):
        raise CannotBegin("an instance has no Patient ID")
    if len(patients) > 1:
        raise CannotBegin("its instances are of more than one patient")


def _start(place: Workplace, transaction: Transaction, row: AnyRow, route: Route) -> None:
    number = _next_generation(place, transaction, row)
    move_study(
        transaction.conn,
        row.id,
        StudyState.COMPLETE,
        StudyState.PROCESSING,
        transaction.now,
        route=route.name,
        reason="",
        generation=number,
        total=0,
        done=0,
    )
    _record_generation(place, transaction, row.id, number, route)
    mine = (instance.c.study == row.id, instance.c.state == InstanceState.RECEIVED)
    transaction.conn.execute(update(instance).where(*mine).values(generation=number))
    # The instances that a held generation had done already count as its own.
    transaction.conn.execute(
        update(study)
        .where(study.c.id == row.id)
        .values(
            total=select(func.count())
            .where(instance.c.study == row.id, instance.c.generation == number)
            .scalar_subquery(),
            done=select(func.count())
            .where(
                instance.c.study == row.id,
                instance.c.generation == number,
                instance.c.state != InstanceState.RECEIVED,
            )
            .scalar_subquery(),
        )
    )
    queue_jobs(place, transaction, row.id, number, waiting_instances(transaction, *mine))


def last_released(conn: Connection, study_id: str) -> int:
    """Give the number of the generation that went out last; 0 if none did."""
    query = select(func.max(generation.c.number)).where(
        generation.c.study == study_id, generation.c.released_at.is_not(None)
    )
    return conn.execute(query).scalar() or 0


def _next_generation(place: Workplace, transaction: Transaction, row: AnyRow) -> int:
    """Give the number after the last one that was released: a held generation keeps its own.

    A folder among the releases counts without a row, too: its number is taken.
    """
    number = last_released(transaction.conn, row.id) + 1
    while (place.outbox.releases / release_name(row.id, number)).exists():
        number += 1
    return number


def _record_generation(
    place: Workplace, transaction: Transaction, study_id: str, number: int, route: Route
) -> None:
    profile = place.recipes[route.name].profile
    values = {
        "route": route.name,
        "profile": profile.name,
        "profile_digest": profile.digest,
        "domain": profile.domain,
        "key_fingerprint": place.key_fingerprint,
        "begun_at": transaction.wall,
    }
    row = upsert(generation).values(study=study_id, number=number, **values)
    transaction.conn.execute(
        row.on_conflict_do_update(index_elements=["study", "number"], set_=values)
    )


def _hold(transaction: Transaction, study_id: str, reason: str) -> None:
    move_study(
        transaction.conn,
        study_id,
        StudyState.COMPLETE,
        StudyState.HELD,
        transaction.now,
        reason=reason,
    )
    transaction.tell("study_held", study_id, reason=reason)
