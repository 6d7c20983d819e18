"""Which route a study takes, and what its lists say of its patient: asked of what has arrived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from node.config import Route
from node.inbox.index import AnyRow
from node.inbox.states import InstanceState
from node.inbox.tables import instance
from node.process.patients import Consent, ListUnreadable, Patient, consent_of, identity
from node.process.recipes import recipe_digest
from node.process.routing import NoRoute, Sender, choose_route
from node.process.workplace import Transaction, Workplace

_AGAINST = {
    Consent.ALLOWED: "",
    Consent.NOT_ALLOWED: "the patient is not on the allow list any more",
    Consent.DENIED: "the patient is on the deny list by now: reject the study",
}

_MEMBERS = (
    select(
        instance.c.called_ae_title, instance.c.calling_ae_title, instance.c.modality,
        instance.c.issuer_of_patient_id, instance.c.patient_id,
    )
    .where(
        instance.c.study == bindparam("study_id"),
        instance.c.state.in_((InstanceState.RECEIVED, InstanceState.DEIDENTIFIED)),
        instance.c.patient_id.is_not(None),
    )
    .distinct()
)  # fmt: skip


class CannotBegin(Exception):  # noqa: N818 -- a fact about the study
    """The study needs a person before anything of it can be treated; the text says why."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A study's route, what its lists say of the patient, and all that decides about instances."""

    route: Route
    consent: Consent
    recipe_digest: str


def choose(place: Workplace, transaction: Transaction, row: AnyRow) -> Choice:
    """Choose the route of a study, unless that was done, and ask the route's lists.

    Raises
    ------
    CannotBegin
        If a person must look first.
    """
    members = _members(transaction, row.id)
    try:
        route = _route_of(place, row, members)
        patients = _patients(members, route)
        consent = consent_of(route, patients)
    except (NoRoute, ListUnreadable) as reason:
        raise CannotBegin(str(reason)) from None
    _one_patient(patients)
    return Choice(route, consent, recipe_digest(place, route, patients))


def recipe_now(place: Workplace, row: AnyRow, left: Iterable[AnyRow]) -> str | None:
    """Digest the recipe that a study's generation would have now; None if none can be told.

    That is the case when its route is not configured any more. `left` are its instances that may
    still leave.
    """
    route = _route_named(place, row.route)
    return None if route is None else recipe_digest(place, route, _patients(left, route))


def why_not_now(place: Workplace, row: AnyRow, left: Iterable[AnyRow]) -> str:
    """Say what the lists have against a generation that is about to go out; empty if nothing.

    They were asked when it began; a study that was held for weeks may have been denied meanwhile.
    """
    route = _route_named(place, row.route)
    if route is None:
        return _no_longer_configured(row.route)
    try:
        consent = consent_of(route, _patients(left, route))
    except ListUnreadable as reason:
        return str(reason)
    return _AGAINST[consent]


def _members(transaction: Transaction, study_id: str) -> Sequence[AnyRow]:
    """Tell what kinds of instances count: by sender, modality and patient, those that may leave."""
    return transaction.conn.execute(_MEMBERS, {"study_id": study_id}).all()


def _route_of(place: Workplace, row: AnyRow, members: Iterable[AnyRow]) -> Route:
    if row.route:
        route = _route_named(place, row.route)
        if route is None:
            raise CannotBegin(_no_longer_configured(row.route))
        return route
    senders = {Sender(one.called_ae_title, one.calling_ae_title) for one in members}
    modalities = {one.modality for one in members}
    return choose_route(place.config.effective_routes, senders, modalities)


def _route_named(place: Workplace, name: str) -> Route | None:
    routes = place.config.effective_routes
    return next((route for route in routes if route.name == name), None)


def _no_longer_configured(name: str) -> str:
    return f"its route {name} is no longer configured"


def _patients(members: Iterable[AnyRow], route: Route) -> set[Patient]:
    named = {(one.issuer_of_patient_id, one.patient_id) for one in members}
    return {
        identity(issuer, patient_id, route.default_issuer)
        for issuer, patient_id in named
        if patient_id is not None
    }


def _one_patient(patients: set[Patient]) -> None:
    if any(not patient.patient_id for patient in patients):
        raise CannotBegin("an instance has no Patient ID")
    if len(patients) > 1:
        raise CannotBegin("its instances are of more than one patient")
