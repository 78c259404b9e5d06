"""Appointments between messages: what they are called, what they are for, and those that wait for their order."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from engine.core.ids import RowId
from engine.linkage.appointment import STATE_AFTER, Scheduled, action_of_appointment
from engine.linkage.change import Change
from engine.linkage.errors import NoAppointmentNumber, UnknownOrder
from engine.records.explicit import plain
from engine.records.fact import AppointmentFact, IdentifierFact, PatientFact, ServiceFact
from engine.records.record import Hold
from engine.records.schedule import Appointment
from engine.records.state import AppointmentState, Danger, HoldState

_NAMES = ("placer_number", "placer_issuer", "filler_number", "filler_issuer")
_ORDER_NAMES = ("order_placer_number", "order_filler_number")
_DESCRIBING = ("name", "birth_date", "sex")


def note_appointment(
    said: AppointmentFact, before: Appointment | None, scheduled: Scheduled, waited: Hold | None, change: Change
) -> None:
    """Keep what an appointment is called and which order it is for, so that a later message may name it alone."""
    order = scheduled.order.order
    kept = replace(
        _named(said, before, change),
        state=scheduled.state,
        order_id=order.id,
        patient_id=order.patient_id,
        content={},
        waits_until=None,
        hold_id=None,
    )
    if before is not None or kept.placer_number or kept.filler_number:
        _keep(kept, before, change)
    if waited is not None:
        _end_wait(waited, "the order came", change)


def wait_for_order(
    said: AppointmentFact,
    before: Appointment | None,
    waited: Hold | None,
    change: Change,
    *,
    patient_id: RowId | None,
    until: datetime,
) -> Hold:
    """Keep an appointment until its order comes; return the hold that says so.

    Raises:
        NoAppointmentNumber: nothing says which order it could be for.
    """
    numbers = [plain(said.order_placer_number), plain(said.order_filler_number)]
    if not any(numbers) and said.patient is None:
        raise NoAppointmentNumber("SCH-26, SCH-27 or PID-3 is required", where="SCH^1^26")
    if waited is None:
        waited = change.hold(
            "appointment_without_order",
            Danger.YELLOW,
            "the appointment came before its order; it is applied when that comes within a day",
            patient_id=patient_id,
        )
    change.notes.append("no order has these numbers yet; the appointment waits for it")
    kept = replace(
        _named(said, before, change),
        state=AppointmentState.WAITING,
        patient_id=patient_id,
        patient_number=said.patient.identifiers[0].value if said.patient and said.patient.identifiers else "",
        content=_content(said),
        waits_until=until,
        hold_id=waited.id,
    )
    _keep(kept, before, change)
    return waited


def take_back(said: AppointmentFact, before: Appointment | None, waited: Hold | None, change: Change) -> None:
    """Cancel an appointment that has no order.

    Raises:
        UnknownOrder: there is no such appointment either.
    """
    if before is None:
        raise UnknownOrder("no order and no appointment has these numbers", where="SCH^1^1")
    state = STATE_AFTER[action_of_appointment(said)]
    _keep(replace(before, state=state, waits_until=None, hold_id=None), before, change)
    if waited is not None:
        _end_wait(waited, "the appointment was cancelled", change)


def _end_wait(waited: Hold, resolution: str, change: Change) -> None:
    resolved = replace(waited, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution)
    change.alter(resolved)
    change.event("hold.resolved", resolution, patient_id=waited.patient_id)


def _named(said: AppointmentFact, before: Appointment | None, change: Change) -> Appointment:
    """Return an appointment under all names that are known of it."""
    act = change.act
    if before is None:
        before = Appointment(id=act.new_id(), state=AppointmentState.BOOKED, changed_at=act.now, cause_id=act.cause_id)
    stated: dict[str, Any] = {
        name: plain(getattr(said, name)) for name in (*_NAMES, *_ORDER_NAMES) if plain(getattr(said, name))
    }
    return replace(before, **stated)


def _keep(kept: Appointment, before: Appointment | None, change: Change) -> None:
    if before is None:
        change.create(kept)
    elif kept != before:
        change.alter(replace(kept, changed_at=change.act.now, cause_id=change.act.cause_id))


def _content(said: AppointmentFact) -> dict[str, Any]:
    """Return an appointment as plain data; an erasure says nothing about an order that is still to come."""
    content = {name: value for name, value in asdict(replace(said, patient=None)).items() if isinstance(value, str)}
    services = [
        {name: value for name, value in asdict(service).items() if isinstance(value, str)} for service in said.services
    ]
    person: dict[str, Any] = {}
    if said.patient is not None:
        identifiers = [[each.value, each.issuer] for each in said.patient.identifiers]
        person = {name: plain(getattr(said.patient, name)) for name in _DESCRIBING} | {"identifiers": identifiers}
    return {**content, "services": services, "patient": person}


def said_before(kept: Appointment) -> AppointmentFact:
    """Return what a waiting appointment said."""
    content = dict(kept.content)
    services = tuple(ServiceFact(**service) for service in content.pop("services", ()))
    person = dict(content.pop("patient", {}))
    patient = None
    if person:
        pairs = person.pop("identifiers")
        identifiers = tuple(IdentifierFact(value=value, issuer=issuer) for value, issuer in pairs)
        patient = PatientFact(identifiers=identifiers, **person)
    return AppointmentFact(services=services, patient=patient, **content)
