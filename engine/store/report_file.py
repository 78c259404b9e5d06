"""Everything known about one report, or about the reports of one order, for reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.record import Hold, ImagingOrder, RequestedProcedure
from engine.records.report import Report, ReportAttachment, ReportIdentifier, ReportLink, ReportVersion
from engine.store import codec, table
from engine.store.paging import records_by
from engine.store.person import survivors


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A report with all that belongs to it. `links` are standing ones; `procedures` and `orders` are those of them."""

    report: Report
    patient: KnownPatient | None = None
    identifiers: tuple[ReportIdentifier, ...] = ()
    versions: tuple[ReportVersion, ...] = ()
    """The first received first."""
    attachments: tuple[ReportAttachment, ...] = ()
    """Those of every version."""
    links: tuple[ReportLink, ...] = ()
    procedures: tuple[RequestedProcedure, ...] = ()
    orders: tuple[ImagingOrder, ...] = ()
    holds: tuple[Hold, ...] = ()

    @property
    def current(self) -> ReportVersion:
        """The version that counts."""
        return next(each for each in self.versions if each.number == self.report.version)

    def documents(self, version: ReportVersion) -> tuple[ReportAttachment, ...]:
        """Return the documents of one of its versions, in order."""
        mine = (each for each in self.attachments if each.version_id == version.id)
        return tuple(sorted(mine, key=lambda each: each.position))


def report_file(connection: Connection, row: RowId) -> ReportFile | None:
    """Return a report by row; None when there is none."""
    found = report_files(connection, [row])
    return found[0] if found else None


def reports_of(connection: Connection, procedures: Iterable[RowId]) -> tuple[ReportFile, ...]:
    """Return the reports that are linked to any of these procedures, the first received first."""
    links = _of(connection, codec.REPORT_LINK, table.report_link, "procedure_id", list(procedures))
    return report_files(connection, sorted({link.report_id for link in links if link.undone_at is None}))


def report_files(connection: Connection, rows: Sequence[RowId]) -> tuple[ReportFile, ...]:
    """Return the reports of these rows that exist, in order."""
    reports: list[Report] = _of(connection, codec.REPORT, table.report, "id", list(rows))
    if not reports:
        return ()
    patients = survivors(connection, {each.patient_id for each in reports if each.patient_id is not None})
    known = [each.id for each in reports]
    identifiers = records_by(connection, codec.REPORT_IDENTIFIER, table.report_identifier, "report_id", known)
    versions = records_by(connection, codec.REPORT_VERSION, table.report_version, "report_id", known)
    attachments = records_by(connection, codec.REPORT_ATTACHMENT, table.report_attachment, "report_id", known)
    links = records_by(
        connection, codec.REPORT_LINK, table.report_link, "report_id", known, table.report_link.c.undone_at.is_(None)
    )
    holds = records_by(connection, codec.HOLD, table.hold, "report_id", known)
    linked = {link.procedure_id for some in links.values() for link in some if link.procedure_id is not None}
    procedures = {
        each.id: each
        for each in _of(connection, codec.REQUESTED_PROCEDURE, table.requested_procedure, "id", list(linked))
    }
    orders = {
        each.id: each
        for each in _of(
            connection,
            codec.IMAGING_ORDER,
            table.imaging_order,
            "id",
            list({each.order_id for each in procedures.values()}),
        )
    }
    files = []
    for report in reports:
        mine = [procedures[link.procedure_id] for link in links[report.id] if link.procedure_id in procedures]
        files.append(
            ReportFile(
                report=report,
                patient=patients.get(report.patient_id) if report.patient_id is not None else None,
                identifiers=tuple(identifiers[report.id]),
                versions=tuple(versions[report.id]),
                attachments=tuple(attachments[report.id]),
                links=tuple(links[report.id]),
                procedures=tuple(mine),
                orders=tuple(orders[row] for row in dict.fromkeys(each.order_id for each in mine)),
                holds=tuple(holds[report.id]),
            )
        )
    return tuple(files)


def _of(connection: Connection, of: codec.Codec[codec.R], among: Any, column: str, rows: list[RowId]) -> list[codec.R]:
    grouped = records_by(connection, of, among, column, rows)
    return [record for row in sorted(grouped) for record in grouped[row]]
