"""Loads reports, by their numbers and by what they are about. Every query is by an indexed key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, or_, select

from engine.core.ids import RowId
from engine.linkage.report_identity import KnownReport
from engine.records.record import Hold
from engine.records.report import Report, ReportAttachment, ReportIdentifier, ReportLink, ReportVersion
from engine.records.state import Danger, HoldState, ReportState
from engine.store import codec, table
from engine.store.statement import Statement
from engine.store.unit import Unit

_TOGETHER = 4
"""How many values one search takes."""
_NOBODY = "\0"
"""Stands for no value; no number can be this."""
_identifier = table.report_identifier.c
_link = table.report_link.c

_report = Statement(codec.REPORT.select.where(table.report.c.id == bindparam("id")))
_identifiers = Statement(codec.REPORT_IDENTIFIER.select.where(_identifier.report_id == bindparam("id")))
_versions = Statement(
    codec.REPORT_VERSION.select.where(table.report_version.c.report_id == bindparam("id")).order_by(
        table.report_version.c.number
    )
)
_attachments = Statement(
    codec.REPORT_ATTACHMENT.select.where(table.report_attachment.c.version_id == bindparam("id")).order_by(
        table.report_attachment.c.position
    )
)
_links = Statement(codec.REPORT_LINK.select.where(_link.report_id == bindparam("id"), _link.undone_at.is_(None)))
_holds = Statement(
    codec.HOLD.select.where(table.hold.c.report_id == bindparam("id"), table.hold.c.state == HoldState.OPEN.value)
)
_named = Statement(
    select(_identifier.report_id)
    .where(
        _identifier.value == bindparam("value"),
        _identifier.issuer == bindparam("issuer"),
        or_(*(_identifier.kind == kind for kind in ("report", "replaced", "addendum"))),
    )
    .order_by(_identifier.report_id)
)
_standing = select(_link.id).where(_link.report_id == _identifier.report_id, _link.undone_at.is_(None)).exists()
_waiting = Statement(
    select(_identifier.report_id)
    .where(
        or_(*(_identifier.value == bindparam(f"value{i}") for i in range(_TOGETHER))),
        or_(*(_identifier.kind == kind for kind in ("filler", "accession", "study", "placer", "patient"))),
        ~_standing,
    )
    .order_by(_identifier.report_id)
)
_of_order = Statement(
    select(_link.procedure_id, _link.report_id, table.report.c.state)
    .join(table.requested_procedure, table.requested_procedure.c.id == _link.procedure_id)
    .join(table.report, table.report.c.id == _link.report_id)
    .where(table.requested_procedure.c.order_id == bindparam("id"), _link.undone_at.is_(None))
    .order_by(_link.id)
)
_of_study = Statement(
    select(_link.report_id).where(_link.study_id == bindparam("id"), _link.undone_at.is_(None)).order_by(_link.id)
)
_of_procedure = Statement(
    select(_link.report_id).where(_link.procedure_id == bindparam("id"), _link.undone_at.is_(None)).order_by(_link.id)
)
_red_holds_of_order = Statement(
    select(table.hold.c.id).where(
        table.hold.c.order_id == bindparam("id"),
        table.hold.c.study_id.is_not(None),
        table.hold.c.state == HoldState.OPEN.value,
        table.hold.c.danger == Danger.RED.value,
    )
)
_red_holds_of_study = Statement(
    select(table.hold.c.id).where(
        table.hold.c.study_id == bindparam("id"),
        table.hold.c.state == HoldState.OPEN.value,
        table.hold.c.danger == Danger.RED.value,
    )
)


def report(unit: Unit, row: RowId) -> KnownReport:
    """Return a report with its numbers, versions, standing links and open holds."""
    found: Report = codec.REPORT.record(unit.rows(_report, {"id": row})[0])
    identifiers: list[ReportIdentifier] = [
        codec.REPORT_IDENTIFIER.record(each) for each in unit.rows(_identifiers, {"id": row})
    ]
    versions: list[ReportVersion] = [codec.REPORT_VERSION.record(each) for each in unit.rows(_versions, {"id": row})]
    links: list[ReportLink] = [codec.REPORT_LINK.record(each) for each in unit.rows(_links, {"id": row})]
    holds: list[Hold] = [codec.HOLD.record(each) for each in unit.rows(_holds, {"id": row})]
    current = next(each for each in versions if each.number == found.version)
    return KnownReport(
        report=found,
        identifiers=tuple(identifiers),
        versions=tuple(versions),
        links=tuple(links),
        holds=tuple(holds),
        documents=tuple(each.blob or each.pointer for each in attachments(unit, current.id)),
    )


def attachments(unit: Unit, version_id: RowId) -> tuple[ReportAttachment, ...]:
    """Return the documents of a version, in order."""
    return tuple(codec.REPORT_ATTACHMENT.record(row) for row in unit.rows(_attachments, {"id": version_id}))


def reports_named(unit: Unit, numbers: Iterable[tuple[str, str]]) -> tuple[KnownReport, ...]:
    """Return the reports that have any of these (value, issuer) as a number of their own, each once."""
    rows: dict[RowId, None] = {}
    for value, issuer in numbers:
        rows.update((found[0], None) for found in unit.rows(_named, {"value": value, "issuer": issuer}))
    return tuple(report(unit, row) for row in rows)


def waiting_reports(unit: Unit, values: Sequence[str]) -> tuple[KnownReport, ...]:
    """Return the reports without a link that refer to any of these numbers, UIDs or patient IDs."""
    rows: dict[RowId, None] = {}
    wanted = [value for value in dict.fromkeys(values) if value]
    for begin in range(0, len(wanted), _TOGETHER):
        some = [*wanted[begin : begin + _TOGETHER], *[_NOBODY] * _TOGETHER]
        found = unit.rows(_waiting, {f"value{i}": some[i] for i in range(_TOGETHER)})
        rows.update((row[0], None) for row in found)
    return tuple(report(unit, row) for row in sorted(rows))


def states_of_order(unit: Unit, order_id: RowId) -> dict[RowId, list[ReportState]]:
    """Return the states of the reports that are linked to an order, by procedure."""
    states: dict[RowId, list[ReportState]] = {}
    for procedure_id, _, state in unit.rows(_of_order, {"id": order_id}):
        states.setdefault(procedure_id, []).append(ReportState(state))
    return states


def reports_of_study(unit: Unit, study_id: RowId, procedures: Iterable[RowId]) -> tuple[KnownReport, ...]:
    """Return the reports that are linked to a study, or to the procedures it is linked to."""
    rows = {row[0]: None for row in unit.rows(_of_study, {"id": study_id})}
    for procedure_id in procedures:
        rows.update((row[0], None) for row in unit.rows(_of_procedure, {"id": procedure_id}))
    return tuple(report(unit, row) for row in rows)


def is_study_held(unit: Unit, study_id: RowId) -> bool:
    """Whether a study has an open red hold."""
    return unit.first(_red_holds_of_study, {"id": study_id}) is not None


def is_order_held(unit: Unit, order_id: RowId) -> bool:
    """Whether images that name an order are on an open red hold because of it."""
    return unit.first(_red_holds_of_order, {"id": order_id}) is not None
