"""Applies what registration says about records that are one: all pairs of a message, or none."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.broker.decision import Applied, Desk, write_change
from engine.broker.rematch import refresh_patient
from engine.broker.worklist import worklist_items
from engine.linkage.change import Change
from engine.linkage.merge_message import apply_merge
from engine.records.fact import MergeFact
from engine.records.record import Hold, ImagingOrder
from engine.store import known, worklist
from engine.store.merging import merge_world
from engine.store.unit import Unit


def apply_merge_message(unit: Unit, said: MergeFact, change: Change, desk: Desk) -> Applied:
    """Apply a merge, serve what moved under the survivor, and look again at studies that wait for either side."""
    timezone = ZoneInfo(desk.site.settings.site.timezone)
    survivors = apply_merge(said, merge_world(unit, said), change, timezone=timezone)
    write_change(unit, change, desk)
    if isinstance(survivors, Hold):
        return Applied(held=True, notes=(f"held: {survivors.reason}",))
    for record in change.changed.values():
        patient = known.survivor(unit, record.patient_id) if isinstance(record, ImagingOrder) else None
        if patient is not None:
            worklist.put(unit, worklist_items(known.order(unit, record.id), patient, desk.site.issuers))
    for patient_id in dict.fromkeys(survivors):
        refresh_patient(unit, patient_id, change.act, desk)
    return Applied(
        held=bool(change.holds),
        notes=(*(f"held: {hold.reason}" for hold in change.holds), *change.notes),
        patient_id=survivors[0] if survivors else None,
    )
