"""How a record becomes a row and back: one codec per record class, derived from its fields."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.sql.selectable import Select

from engine.records import record, report, schedule
from engine.store import table
from engine.store.statement import Statement

R = TypeVar("R")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 UTC [us] of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC time of microseconds since 1970 [us]."""
    return _EPOCH + timedelta(microseconds=micros)


def _optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _join(values: Sequence[str]) -> str:
    return "\\".join(values)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("\\")) if text else ()


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, default=str).decode()


def _load(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(text) if text else {}
    return loaded


Convert = Callable[[Any], Any]


def _converters(hint: Any) -> tuple[Convert | None, Convert | None]:
    """Return (to the database, from the database) for a field's type; None where the value passes as it is."""
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    if type(None) in typing.get_args(hint):
        there, back = _converters(arguments[0])
        return (there and _optional(there), back and _optional(back))
    if hint is datetime:
        return (to_micros, from_micros)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return (str.__str__, hint)
    if hint is bool:
        return (int, bool)
    if typing.get_origin(hint) is tuple:
        return (_join, _split)
    if typing.get_origin(hint) is dict:
        return (_dump, _load)
    return (None, None)


class Codec(Generic[R]):
    """Writes and reads one record class; statements are built once."""

    def __init__(self, cls: type[R], of: Table) -> None:
        self.cls = cls
        self.table = of
        hints = typing.get_type_hints(cls)
        self.names = tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]  # R is a dataclass
        pairs = [_converters(hints[name]) for name in self.names]
        self._fields = attrgetter(*self.names)
        self._there = tuple(
            (name, pair[0]) for name, pair in zip(self.names, pairs, strict=True) if pair[0] is not None
        )
        self._back = tuple((i, pair[1]) for i, pair in enumerate(pairs) if pair[1] is not None)
        self.columns = [of.c[name] for name in self.names]
        self.insert = Statement(insert(of).values({name: bindparam(name) for name in self.names}))
        self.update = Statement(
            update(of)
            .where(of.c.id == bindparam("row_id"))
            .values({name: bindparam(name) for name in self.names if name != "id"})
        )
        self.select: Select[Any] = select(*self.columns)

    def row(self, kept: R) -> dict[str, Any]:
        """Return the row of a record, by column name."""
        row: dict[str, Any] = dict(zip(self.names, self._fields(kept), strict=True))
        for name, there in self._there:
            row[name] = there(row[name])
        return row

    def record(self, row: Sequence[Any]) -> R:
        """Return the record of a row selected with `select`."""
        values = list(row)
        for i, back in self._back:
            values[i] = back(values[i])
        return self.cls(**dict(zip(self.names, values, strict=True)))


PATIENT = Codec(record.Patient, table.patient)
PATIENT_IDENTIFIER = Codec(record.PatientIdentifier, table.patient_identifier)
VISIT = Codec(record.Visit, table.visit)
PATIENT_MERGE = Codec(record.PatientMerge, table.patient_merge)
IMAGING_ORDER = Codec(record.ImagingOrder, table.imaging_order)
ORDER_IDENTIFIER = Codec(record.OrderIdentifier, table.order_identifier)
ORDER_REPLACEMENT = Codec(schedule.OrderReplacement, table.order_replacement)
APPOINTMENT = Codec(schedule.Appointment, table.appointment)
REQUESTED_PROCEDURE = Codec(record.RequestedProcedure, table.requested_procedure)
SCHEDULED_STEP = Codec(record.ScheduledStep, table.scheduled_step)
STUDY = Codec(record.Study, table.study)
SERIES = Codec(record.Series, table.series)
INSTANCE = Codec(record.Instance, table.instance)
LINK = Codec(record.Link, table.link)
REPORT = Codec(report.Report, table.report)
REPORT_VERSION = Codec(report.ReportVersion, table.report_version)
REPORT_ATTACHMENT = Codec(report.ReportAttachment, table.report_attachment)
REPORT_IDENTIFIER = Codec(report.ReportIdentifier, table.report_identifier)
REPORT_LINK = Codec(report.ReportLink, table.report_link)
HOLD = Codec(record.Hold, table.hold)
EVENT = Codec(record.Event, table.event)

CODECS: dict[type[Any], Codec[Any]] = {
    codec.cls: codec
    for codec in (
        PATIENT,
        PATIENT_IDENTIFIER,
        VISIT,
        PATIENT_MERGE,
        IMAGING_ORDER,
        ORDER_IDENTIFIER,
        ORDER_REPLACEMENT,
        APPOINTMENT,
        REQUESTED_PROCEDURE,
        SCHEDULED_STEP,
        STUDY,
        SERIES,
        INSTANCE,
        LINK,
        REPORT,
        REPORT_VERSION,
        REPORT_ATTACHMENT,
        REPORT_IDENTIFIER,
        REPORT_LINK,
        HOLD,
        EVENT,
    )
}
