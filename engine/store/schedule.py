"""Loads appointments and replaced orders, each by an indexed key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, bindparam, or_

from engine.core.ids import RowId
from engine.records.record import Hold
from engine.records.schedule import Appointment, OrderReplacement
from engine.store import codec, table
from engine.store.codec import to_micros
from engine.store.statement import Statement
from engine.store.unit import Unit

_appointment = table.appointment
_replacement = table.order_replacement

_named = Statement(
    codec.APPOINTMENT.select.where(
        or_(
            and_(
                _appointment.c.placer_number == bindparam("placer"),
                _appointment.c.placer_issuer == bindparam("placer_issuer"),
            ),
            and_(
                _appointment.c.filler_number == bindparam("filler"),
                _appointment.c.filler_issuer == bindparam("filler_issuer"),
            ),
        )
    ).order_by(_appointment.c.id.desc())
)
_waiting = Statement(
    codec.APPOINTMENT.select.where(
        or_(
            _appointment.c.order_placer_number == bindparam("placer"),
            _appointment.c.order_filler_number == bindparam("filler"),
            _appointment.c.patient_number == bindparam("patient"),
        ),
        _appointment.c.waits_until > bindparam("now"),
    ).order_by(_appointment.c.id)
)
_hold = Statement(codec.HOLD.select.where(table.hold.c.id == bindparam("id")))
_replacements = Statement(
    codec.ORDER_REPLACEMENT.select.where(
        or_(_replacement.c.old_id == bindparam("id"), _replacement.c.new_id == bindparam("id"))
    ).order_by(_replacement.c.id)
)
_NOBODY = "-"
"""Stands for a number that is not known: no row has it."""


def appointment_named(unit: Unit, placer: tuple[str, str], filler: tuple[str, str]) -> Appointment | None:
    """Return the appointment with one of these (number, issuer), the latest when there are several."""
    row = unit.first(
        _named,
        {
            "placer": placer[0] or _NOBODY,
            "placer_issuer": placer[1],
            "filler": filler[0] or _NOBODY,
            "filler_issuer": filler[1],
        },
    )
    return codec.APPOINTMENT.record(row) if row is not None else None


def waiting_appointments(
    unit: Unit, *, placers: Iterable[str], fillers: Iterable[str], patients: Iterable[str]
) -> tuple[Appointment, ...]:
    """Return the appointments that wait for an order with one of these numbers, or of a patient with one of these."""
    found: dict[RowId, Appointment] = {}
    for values in _each(list(placers), list(fillers), list(patients)):
        for row in unit.rows(_waiting, {**values, "now": to_micros(unit.now)}):
            kept = codec.APPOINTMENT.record(row)
            found[kept.id] = kept
    return tuple(found[row] for row in sorted(found))


def _each(placers: list[str], fillers: list[str], patients: list[str]) -> Iterable[dict[str, Any]]:
    for index in range(max(len(placers), len(fillers), len(patients))):
        yield {
            "placer": placers[index] if index < len(placers) else _NOBODY,
            "filler": fillers[index] if index < len(fillers) else _NOBODY,
            "patient": patients[index] if index < len(patients) else _NOBODY,
        }


def hold(unit: Unit, row: RowId | None) -> Hold | None:
    """Return a hold by row."""
    found = unit.first(_hold, {"id": row}) if row is not None else None
    return codec.HOLD.record(found) if found is not None else None


def replacements_of(unit: Unit, order_id: RowId) -> tuple[OrderReplacement, ...]:
    """Return what an order replaced, and what replaced it."""
    return tuple(codec.ORDER_REPLACEMENT.record(row) for row in unit.rows(_replacements, {"id": order_id}))
