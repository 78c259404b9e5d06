"""Tells whether anything waits for an order: an appointment, a study or a report that may be about it.

Most orders find nothing waiting; one statement says so where each kind would take one of its own.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam, or_, select

from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.store import table
from engine.store.statement import Statement
from engine.store.unit import Unit

_MOST = {"placer": 1, "filler": 1, "accession": 1, "uid": 1, "patient": 2}
"""How many values of a kind the statement takes."""
_NAMES = tuple(f"{kind}{i}" for kind, most in _MOST.items() for i in range(most))
_NOTHING = "\0"
"""Stands for no value; no number can be this."""


def _is_any(column: ColumnElement[str], *kinds: str) -> ColumnElement[bool]:
    return or_(*(column == bindparam(f"{kind}{i}") for kind in kinds for i in range(_MOST[kind])))


_appointment, _study, _number = table.appointment.c, table.study.c, table.report_identifier.c
_link, _placed = table.link.c, table.report_link.c
_is_linked = select(_link.study_id).where(_link.study_id == _study.id, _link.undone_at.is_(None)).exists()
_is_placed = (
    select(_placed.report_id).where(_placed.report_id == _number.report_id, _placed.undone_at.is_(None)).exists()
)
_statement = Statement(
    select(
        or_(
            select(_appointment.id)
            .where(
                or_(
                    _is_any(_appointment.order_placer_number, "placer"),
                    _is_any(_appointment.order_filler_number, "filler"),
                    _is_any(_appointment.patient_number, "patient"),
                ),
                _appointment.waits_until.is_not(None),
            )
            .exists(),
            select(_study.id)
            .where(
                or_(
                    _is_any(_study.study_uid, "uid"),
                    _is_any(_study.accession_number, "accession"),
                    _is_any(_study.dicom_patient_id, "patient"),
                ),
                ~_is_linked,
            )
            .exists(),
            select(_number.id)
            .where(
                _is_any(_number.value, "placer", "filler", "accession", "uid"),
                ~_is_placed,
            )
            .exists(),
        )
    )
)


def may_wait(unit: Unit, order: KnownOrder, patient: KnownPatient) -> bool:
    """Whether something may wait for an order; False means that nothing does.

    An order or patient with more numbers than the statement takes is worth a closer look anyway.
    """
    said: dict[str, list[str]] = {kind: [] for kind in _MOST}
    for number in order.identifiers:
        said[number.kind].append(number.value)
    said["uid"] += [procedure.study_uid for procedure in order.procedures]
    said["patient"] += [each.value for each in (*patient.identifiers, *patient.former)]
    values = dict.fromkeys(_NAMES, _NOTHING)
    for kind, some in said.items():
        if len(some) > _MOST[kind]:
            return True
        values.update((f"{kind}{i}", value) for i, value in enumerate(some))
    return bool(unit.rows(_statement, values)[0][0])
