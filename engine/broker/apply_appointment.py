"""Applies what scheduling says of appointments: finds the order, moves its steps; or waits for the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from engine.broker.decision import Applied, Desk, write_change
from engine.broker.policy import order_policy
from engine.broker.rematch import values_of
from engine.broker.worklist import worklist_items
from engine.config.sender import USUAL_WAYS, Ways
from engine.core.ids import RowId
from engine.linkage.appointment import (
    AppointmentAction,
    AppointmentWorld,
    Scheduled,
    action_of_appointment,
    apply_appointment,
)
from engine.linkage.appointment_wait import note_appointment, said_before, take_back, wait_for_order
from engine.linkage.change import Act, Change
from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.records.explicit import plain
from engine.records.fact import AppointmentFact
from engine.records.record import Hold
from engine.records.schedule import Appointment
from engine.store import known, schedule, worklist
from engine.store.unit import Unit

_Number = tuple[str, str, str]


def apply_appointments(
    unit: Unit, facts: Sequence[AppointmentFact], sender: str, cause: RowId, desk: Desk, ways: Ways = USUAL_WAYS.usual
) -> list[Applied]:
    """Apply the appointments of one message.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
    """
    act = Act(now=unit.now, cause_kind="message", cause_id=cause, new_id=unit.new_id)
    return [_apply(unit, fact, sender, act, desk, ways) for fact in facts]


def _apply(unit: Unit, said: AppointmentFact, sender: str, act: Act, desk: Desk, ways: Ways) -> Applied:
    change = Change(act)
    before = schedule.appointment_named(
        unit,
        (plain(said.placer_number), plain(said.placer_issuer)),
        (plain(said.filler_number), plain(said.filler_issuer)),
    )
    world = _world(unit, said, before)
    waited = schedule.hold(unit, before.hold_id if before is not None else None)
    result = apply_appointment(
        said, world, order_policy(desk.site, sender), change, cancels_order=ways.siu_cancel_cancels_order
    )
    claimed = world.claimed[0].patient.id if len(world.claimed) == 1 else None
    if isinstance(result, Hold):
        write_change(unit, change, desk)
        return Applied(held=True, declined=True, notes=(f"held: {result.reason}",), patient_id=claimed)
    if result is None:
        is_waiting = action_of_appointment(said) is AppointmentAction.BOOK
        if is_waiting:
            until = act.now + timedelta(seconds=desk.site.settings.limits.appointment_wait_s)
            wait_for_order(said, before, waited, change, patient_id=claimed, until=until)
        else:
            take_back(said, before, waited, change)
        write_change(unit, change, desk)
        return Applied(held=is_waiting, notes=tuple(change.notes), patient_id=claimed)
    note_appointment(said, before, result, waited, change)
    _write(unit, result, change, desk)
    return Applied(
        held=bool(change.holds),
        declined=change.declined,
        notes=tuple(change.notes),
        patient_id=result.order.order.patient_id,
        order_id=result.order.order.id,
    )


def _world(unit: Unit, said: AppointmentFact, before: Appointment | None) -> AppointmentWorld:
    claimed = _claimed(unit, said)
    hits = known.orders_with(unit, _numbers(said))
    if not hits and before is not None and before.order_id is not None:
        hits = (known.order(unit, before.order_id),)
    if len(hits) == 1:
        owner = known.survivor(unit, hits[0].order.patient_id)
        return AppointmentWorld(hits=hits, claimed=claimed, owner=owner)
    nearby: tuple[KnownOrder, ...] = ()
    if not hits and not _numbers(said) and len(claimed) == 1:
        rows = known.open_orders_of_patient(unit, claimed[0].patient.id)
        nearby = tuple(known.order(unit, row) for row in rows)
    return AppointmentWorld(hits=hits, claimed=claimed, nearby=nearby)


def _claimed(unit: Unit, said: AppointmentFact) -> tuple[KnownPatient, ...]:
    if said.patient is None:
        return ()
    return known.patients_with(unit, [(each.value, each.issuer) for each in said.patient.identifiers])


def _numbers(said: AppointmentFact) -> list[_Number]:
    numbers = [
        ("placer", plain(said.order_placer_number), plain(said.order_placer_issuer)),
        ("filler", plain(said.order_filler_number), plain(said.order_filler_issuer)),
    ]
    return [number for number in numbers if number[1]]


def _write(unit: Unit, scheduled: Scheduled, change: Change, desk: Desk) -> None:
    write_change(unit, change, desk)
    order = scheduled.order
    patient = known.survivor(unit, order.order.patient_id)
    if patient is not None:
        worklist.put(unit, worklist_items(order, patient, desk.site.issuers))


def apply_waiting(unit: Unit, order: KnownOrder, patient: KnownPatient, act: Act, desk: Desk) -> None:
    """Apply the appointments that waited for an order; one that does not fit it waits on."""
    numbers = {(each.kind, each.value, each.issuer) for each in order.identifiers}
    waiting = schedule.waiting_appointments(
        unit,
        placers=[value for kind, value, _ in numbers if kind == "placer"],
        fillers=[value for kind, value, _ in numbers if kind == "filler"],
        patients=values_of(patient),
    )
    for kept in waiting:
        said = said_before(kept)
        stated = _numbers(said)
        claimed = _claimed(unit, said)
        if stated and not numbers.issuperset(stated):
            continue
        if not stated and [each.patient.id for each in claimed] != [patient.patient.id]:
            continue
        change = Change(act)
        fresh = known.order(unit, order.order.id)
        world = AppointmentWorld(
            hits=(fresh,) if stated else (), nearby=() if stated else (fresh,), claimed=claimed, owner=patient
        )
        result = apply_appointment(said, world, order_policy(desk.site, ""), change)
        if result is None:
            continue
        if isinstance(result, Hold):
            change.alter(replace(kept, waits_until=None))  # a person decides now
            write_change(unit, change, desk)
            continue
        note_appointment(said, kept, result, schedule.hold(unit, kept.hold_id), change)
        _write(unit, result, change, desk)
