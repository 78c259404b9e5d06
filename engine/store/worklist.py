"""The worklist as modalities ask for it: one indexed row per step, its answer prepared when the step changes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from engine.core.ids import RowId
from engine.store import table
from engine.store.codec import to_micros
from engine.store.person import merged_rows_with
from engine.store.statement import Statement
from engine.store.unit import Unit

_item = table.worklist_item
_insert = Statement(insert(_item).values({column.name: bindparam(column.name) for column in _item.c}))
_ORDER = (_item.c.start_date, _item.c.start_time, _item.c.accession_number)
_delete = Statement(delete(_item).where(_item.c.step_id == bindparam("step_id")))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistItem:
    """A step as it stands on the worklist. `attributes` is keyed by DICOM keyword; `visible` is the state gate."""

    step_id: RowId
    patient_row: RowId
    visible: bool
    patient_id: str
    accession_number: str
    rp_id: str
    study_uid: str
    sps_id: str
    modality: str
    station_aes: tuple[str, ...]
    start_date: str
    start_time: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Keys of a query that an index can serve; None leaves one open. Dates are YYYYMMDD, inclusive."""

    patient_id: str | None = None
    accession_number: str | None = None
    rp_id: str | None = None
    study_uids: tuple[str, ...] | None = None
    sps_id: str | None = None
    modality: str | None = None
    date_from: str | None = None
    date_to: str | None = None
    any_state: bool = False

    @property
    def names_something(self) -> bool:
        """Whether a key that few items share narrows the search."""
        keys = (self.patient_id, self.accession_number, self.rp_id, self.study_uids, self.sps_id)
        return any(key is not None for key in keys)


def put(unit: Unit, items: Sequence[WorklistItem], new: Container[RowId] = ()) -> None:
    """Write steps as they stand now, in place of what stood before; the steps `new` were not there."""
    for item in items:
        if item.step_id not in new:
            unit.run(_delete, {"step_id": item.step_id})
    if items:
        unit.run_many(_insert, [_row(item) for item in items])


def _row(item: WorklistItem) -> dict[str, Any]:
    return {
        "step_id": item.step_id,
        "patient_row": item.patient_row,
        "visible": int(item.visible),
        "patient_id": item.patient_id,
        "accession_number": item.accession_number,
        "rp_id": item.rp_id,
        "study_uid": item.study_uid,
        "sps_id": item.sps_id,
        "modality": item.modality,
        "station_aes": "\\".join(item.station_aes),
        "start_date": item.start_date,
        "start_time": item.start_time,
        "attributes": orjson.dumps(item.attributes),
    }


def find(connection: Connection, wanted: Narrowing) -> list[tuple[RowId, dict[str, Any]]]:
    """Return (step, attributes) of the items that a query may mean, by start, then accession number.

    The patient ID of a merged record means the survivor's items too.
    """
    statement = select(*_ORDER, _item.c.step_id, _item.c.attributes)
    if wanted.names_something:
        # `+ 0` keeps the planner off the index by date: a few rows found by name are sooner sorted than all walked
        statement = statement.where(_item.c.visible + 0 == 1) if not wanted.any_state else statement
    else:
        statement = statement.where(_item.c.visible == 1) if not wanted.any_state else statement
        statement = statement.order_by(*_ORDER)
    if wanted.patient_id is not None:
        survivors = merged_rows_with(connection, wanted.patient_id)
        mine = _item.c.patient_id == wanted.patient_id
        statement = statement.where(or_(mine, _item.c.patient_row.in_(survivors)) if survivors else mine)
    for column, value in (
        (_item.c.accession_number, wanted.accession_number),
        (_item.c.rp_id, wanted.rp_id),
        (_item.c.sps_id, wanted.sps_id),
        (_item.c.modality, wanted.modality),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.study_uids is not None:
        statement = statement.where(_item.c.study_uid.in_(wanted.study_uids))
    if wanted.date_from is not None:
        statement = statement.where(_item.c.start_date >= wanted.date_from)
    if wanted.date_to is not None:
        statement = statement.where(_item.c.start_date <= wanted.date_to)
    found = connection.execute(statement).fetchall()
    if wanted.names_something:
        found = sorted(found, key=lambda row: tuple(row[:3]))
    return [(row[3], orjson.loads(row[4])) for row in found]


def note_listing(unit: Unit, step_id: RowId, calling_ae: str) -> bool:
    """Remember that a modality was shown a step; False when it was known already."""
    listing = table.worklist_listing
    there = unit.connection.execute(
        select(listing.c.step_id).where(listing.c.step_id == step_id, listing.c.calling_ae == calling_ae)
    ).first()
    if there is not None:
        return False
    unit.connection.execute(
        insert(listing), {"step_id": step_id, "calling_ae": calling_ae, "first_at": to_micros(unit.now)}
    )
    return True


def order_of(unit: Unit, step_id: RowId) -> RowId | None:
    """Return the order that a step belongs to."""
    statement = (
        select(table.requested_procedure.c.order_id)
        .join(table.scheduled_step, table.scheduled_step.c.procedure_id == table.requested_procedure.c.id)
        .where(table.scheduled_step.c.id == step_id)
    )
    row = unit.connection.execute(statement).first()
    return row[0] if row is not None else None
