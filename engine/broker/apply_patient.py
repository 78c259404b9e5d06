"""Applies what registration says of a person and of a visit."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.broker.decision import Applied, Desk, write_change
from engine.broker.rematch import refresh_patient
from engine.linkage.change import Change
from engine.linkage.identity import KnownPatient
from engine.linkage.patient import register
from engine.linkage.recency import recorded
from engine.linkage.visit import ARRIVALS, EFFECTS, follow_patient, note_arrival, register_visit
from engine.records.explicit import plain
from engine.records.fact import PatientFact
from engine.records.record import Hold
from engine.store import known
from engine.store.unit import Unit


def named_patient(
    unit: Unit, said: PatientFact, change: Change, *, registrar: bool, timezone: ZoneInfo | None = None
) -> KnownPatient | Hold:
    """Return the patient that a message names, created or updated; or why a person must look."""
    hits = known.patients_with(unit, [(each.value, each.issuer) for each in said.identifiers])
    return register(said, hits, change, registrar=registrar, timezone=timezone or ZoneInfo("UTC"))


def apply_patient(unit: Unit, said: PatientFact, change: Change, desk: Desk) -> Applied:
    """Apply one registration: the person, then the visit, then what both mean for open orders."""
    timezone = ZoneInfo(desk.site.settings.site.timezone)
    patient = named_patient(unit, said, change, registrar=True, timezone=timezone)
    if isinstance(patient, Hold):
        write_change(unit, change, desk)
        return Applied(held=True, notes=(f"held: {patient.reason}",))
    event = plain(said.event).upper()
    if event in EFFECTS:
        _apply_visit(unit, said, event, patient, change, timezone)
    write_change(unit, change, desk)
    if change.events:
        refresh_patient(unit, patient.patient.id, change.act, desk)
    return Applied(held=False, notes=tuple(change.notes), patient_id=patient.patient.id)


def _apply_visit(
    unit: Unit, said: PatientFact, event: str, patient: KnownPatient, change: Change, timezone: ZoneInfo
) -> None:
    now, told = change.act.now, said.visit
    before = known.visit(unit, plain(told.number), plain(told.issuer)) if told is not None and told.number else None
    visit = register_visit(
        told,
        event,
        before,
        patient.patient.id,
        change,
        said_at=recorded(said.recorded_at, now, timezone),
        occurred=plain(said.recorded_at),
    )
    if change.notes:  # it came late, or speaks of another patient's visit
        return
    moved = visit is not None and visit.location != (before.location if before else "")
    if not moved and event not in ARRIVALS:
        return
    orders = [known.order(unit, row) for row in known.open_orders_of_patient(unit, patient.patient.id)]
    if visit is not None:
        follow_patient(before, visit, orders, change)
    note_arrival(event, visit, orders, now.astimezone(timezone).strftime("%Y%m%d"), change)
