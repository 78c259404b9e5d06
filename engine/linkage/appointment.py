"""How an appointment moves time, station, room and state of the steps of an order that is known.

Scheduling says when and where, never what and for whom: an appointment makes no order, procedure, step or patient. One
that comes before its order waits for it.
Source: spec/hl7.md section 7.8; HL7 v2.5.1 chapter 10.3, 10.4; table 0278 (filler status codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.linkage.change import Change
from engine.linkage.demographics import Person
from engine.linkage.errors import UnknownControl
from engine.linkage.identity import KnownPatient, Verdict, judge_same_id
from engine.linkage.policy import OrderPolicy
from engine.linkage.state_table import VISIBLE_STEPS, OrderAction
from engine.linkage.step import local_start, settled, station_titles
from engine.linkage.transition import KnownOrder, end_holds, move_order
from engine.records.explicit import plain, updated
from engine.records.fact import AppointmentFact, PatientFact, ServiceFact
from engine.records.record import Hold, RequestedProcedure, ScheduledStep
from engine.records.state import AppointmentState, Danger, StepState

_DAY = 8
_MOVABLE = VISIBLE_STEPS | {StepState.HELD, StepState.HELD_INCOMPLETE}


class AppointmentAction(StrEnum):
    """What a scheduling message asks for."""

    BOOK = "book"
    CANCEL = "cancel"
    MISS = "miss"


EVENTS: dict[str, AppointmentAction] = {
    "S12": AppointmentAction.BOOK,
    "S13": AppointmentAction.BOOK,
    "S14": AppointmentAction.BOOK,
    "S15": AppointmentAction.CANCEL,
    "S16": AppointmentAction.CANCEL,
    "S17": AppointmentAction.CANCEL,
    "S18": AppointmentAction.BOOK,
    "S19": AppointmentAction.BOOK,
    "S26": AppointmentAction.MISS,
}
"""Trigger event → what it asks for: new, reschedule, modify, cancel, discontinue, delete, resources, no-show."""

STATUSES: dict[str, AppointmentAction] = {
    "CANCELLED": AppointmentAction.CANCEL,
    "DC": AppointmentAction.CANCEL,
    "DELETED": AppointmentAction.CANCEL,
    "NOSHOW": AppointmentAction.MISS,
}
"""Filler status (SCH-25) that outweighs an event that books."""

_ARRIVED = "STARTED"
STATE_AFTER = {
    AppointmentAction.BOOK: AppointmentState.BOOKED,
    AppointmentAction.CANCEL: AppointmentState.CANCELLED,
    AppointmentAction.MISS: AppointmentState.MISSED,
}
_EVENT_AFTER = {
    AppointmentAction.BOOK: "appointment.booked",
    AppointmentAction.CANCEL: "appointment.cancelled",
    AppointmentAction.MISS: "appointment.missed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentWorld:
    """What is known that an appointment could mean."""

    hits: tuple[KnownOrder, ...] = ()
    """Orders that the order numbers lead to, or that it was for when it was spoken of before."""
    nearby: tuple[KnownOrder, ...] = ()
    """Open orders of the patient, for an appointment that names no order."""
    claimed: tuple[KnownPatient, ...] = ()
    """Patients that its identifiers lead to."""
    owner: KnownPatient | None = None
    """The patient of the only hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """What an appointment came to."""

    order: KnownOrder
    """As it is afterwards."""
    state: AppointmentState


def action_of_appointment(said: AppointmentFact) -> AppointmentAction:
    """Return what an appointment message asks for.

    Raises:
        UnknownControl: the event is not one of orders' appointments.
    """
    action = EVENTS.get(plain(said.event).upper())
    if action is None:
        raise UnknownControl("the event is not in the table of actions", where="MSH^1^9^1^2")
    if action is AppointmentAction.BOOK:
        return STATUSES.get(plain(said.status).upper(), action)
    return action


def service_facts(said: AppointmentFact) -> tuple[ServiceFact, ...]:
    """Return the services of an appointment; without a list of its own, its fields describe the only one."""
    if said.services:
        return said.services
    return (
        ServiceFact(
            code=said.code,
            start=said.start,
            station_ae=said.station_ae,
            station_name=said.station_name,
            location=said.location,
            performing_physician=said.performing_physician,
        ),
    )


def apply_appointment(
    said: AppointmentFact,
    world: AppointmentWorld,
    policy: OrderPolicy,
    change: Change,
    *,
    cancels_order: bool = False,
) -> Scheduled | Hold | None:
    """Return the order after the appointment; the hold that says why a person must look; None when it must wait.

    Args:
        said: The message.
        world: What is known.
        policy: The site's maps.
        change: Where the decision is written.
        cancels_order: Whether a cancelled appointment cancels what it was for.

    Raises:
        UnknownControl: the event is not one of orders' appointments.
    """
    action = action_of_appointment(said)
    if len(world.hits) > 1:
        return change.hold(
            "numbers_of_several_orders",
            Danger.AMBER,
            f"the order numbers of the appointment belong to {len(world.hits)} orders",
            {"orders": [hit.order.id for hit in world.hits]},
            order_id=world.hits[0].order.id,
        )
    known = world.hits[0] if world.hits else _nearby(said, world.nearby, policy)
    if known is None:
        return None
    hold = _other_patient(said, known, world, change) if world.hits else None
    if hold is not None:
        return hold
    meant = _steps_meant(said, known)
    if meant is None:
        return change.hold(
            "appointment_of_which_step",
            Danger.AMBER,
            "the order has several procedures, and the appointment does not say which one it is for",
            order_id=known.order.id,
            patient_id=known.order.patient_id,
        )
    return Scheduled(
        order=_moved(said, known, meant, action, policy, change, cancels_order=cancels_order),
        state=STATE_AFTER[action],
    )


def _nearby(said: AppointmentFact, orders: Sequence[KnownOrder], policy: OrderPolicy) -> KnownOrder | None:
    """Return the order of the patient with the same service on the same day, when exactly one step is."""
    found: list[KnownOrder] = []
    for service in service_facts(said):
        day = local_start(plain(service.start), policy)[:_DAY]
        for order in orders:
            steps = _with_code(order, plain(service.code))
            found.extend(order for step in steps if day and step.start[:_DAY] == day and step.state in _MOVABLE)
    return found[0] if len(found) == 1 else None


def _other_patient(said: AppointmentFact, known: KnownOrder, world: AppointmentWorld, change: Change) -> Hold | None:
    if said.patient is None or world.owner is None:
        return None
    person = _person(said.patient)
    claimed = {each.patient.id for each in world.claimed}
    is_other = bool(claimed) and world.owner.patient.id not in claimed
    if not is_other and judge_same_id(person, world.owner.patient).verdict is not Verdict.HOLD:
        return None
    return change.hold(
        "appointment_of_another_patient",
        Danger.RED,
        "the appointment is for an order of another patient than it names",
        {"order": known.order.id, "patient": known.order.patient_id, "claimed": sorted(claimed)},
        order_id=known.order.id,
        patient_id=known.order.patient_id,
    )


def _person(said: PatientFact) -> Person:
    return Person(name=plain(said.name), birth_date=plain(said.birth_date), sex=plain(said.sex))


def _with_code(known: KnownOrder, code: str) -> list[ScheduledStep]:
    """Return the steps of an order that a service code means."""
    if not code:
        return []
    procedures = {each.id for each in known.procedures if each.code == code}
    return [step for step in known.steps if step.procedure_id in procedures or step.protocol_code == code]


def _steps_meant(said: AppointmentFact, known: KnownOrder) -> list[tuple[ServiceFact, list[ScheduledStep]]] | None:
    """Return which steps each service is about; None when that cannot be told.

    A code that the order does not have means all of an order with one procedure.
    """
    services = service_facts(said)
    meant: list[tuple[ServiceFact, list[ScheduledStep]]] = []
    for service in services:
        steps = _with_code(known, plain(service.code))
        if not steps:
            if len(services) > 1 and len(known.procedures) > 1:
                return None
            if len(known.procedures) > 1 and plain(service.code):
                return None
            steps = list(known.steps)
        meant.append((service, steps))
    return meant


def _moved(
    said: AppointmentFact,
    known: KnownOrder,
    meant: Sequence[tuple[ServiceFact, list[ScheduledStep]]],
    action: AppointmentAction,
    policy: OrderPolicy,
    change: Change,
    *,
    cancels_order: bool,
) -> KnownOrder:
    procedures = {each.id: each for each in known.procedures}
    after = {step.id: step for step in known.steps}
    touched: list[RequestedProcedure] = []
    too_late = False
    for service, steps in meant:
        movable = [step for step in steps if step.state in _MOVABLE]
        too_late = too_late or any(step.state not in _MOVABLE for step in steps)
        for step in movable:
            procedure = procedures[step.procedure_id]
            new = _step_after(said, service, after[step.id], action, policy, is_only=len(movable) == 1)
            new = settled(new, known.order, procedure, policy)
            if new != step:
                change.alter(new)
                after[step.id] = new
                if new.state is StepState.ARRIVED and step.state is not new.state:
                    change.event(
                        "step.arrived", patient_id=known.order.patient_id, order_id=known.order.id, step_id=step.id
                    )
                touched.append(procedure)
    if too_late:
        change.notes.append("not applied to a step that has begun or ended")
        change.declined = not touched
    before, known = known, replace(known, steps=tuple(after.values()))
    if touched:
        change.event(
            _EVENT_AFTER[action], plain(said.event), patient_id=known.order.patient_id, order_id=known.order.id
        )
        end_holds(before.holds, known, change)
    if action is AppointmentAction.CANCEL and cancels_order:
        for procedure in dict.fromkeys(procedures[step.procedure_id] for _, steps in meant for step in steps):
            known = move_order(known, OrderAction.CANCEL, change, only=procedure)
    return known


def _step_after(
    said: AppointmentFact,
    service: ServiceFact,
    old: ScheduledStep,
    action: AppointmentAction,
    policy: OrderPolicy,
    *,
    is_only: bool,
) -> ScheduledStep:
    if action is not AppointmentAction.BOOK:
        state = StepState.SCHEDULED if old.state in VISIBLE_STEPS else old.state
        return replace(old, start="", start_assumed=True, state=state)
    start = local_start(plain(service.start), policy)
    new = replace(
        old,
        start=start or old.start,
        start_assumed=old.start_assumed and not start,
        location=updated(old.location, service.location),
        performing_physician=updated(old.performing_physician, service.performing_physician),
    )
    if is_only:  # several steps of one service have stations of their own
        new = replace(
            new,
            station_aes=station_titles(plain(service.station_ae)) or old.station_aes,
            station_name=updated(old.station_name, service.station_name),
        )
    if plain(said.status).upper() == _ARRIVED and old.state is StepState.SCHEDULED:
        new = replace(new, state=StepState.ARRIVED)
    return new
