"""Reports as plain data for the JSON API and the pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.core.ids import RowId
from engine.desk.moment import iso
from engine.linkage.result import rows_in
from engine.records.report import ReportAttachment, ReportIdentifier, ReportLink, ReportVersion
from engine.store.report_file import ReportFile

Json = dict[str, Any]


def report_short(of: ReportFile, procedures: Iterable[RowId] = ()) -> Json:
    """Return a report as it stands beside its order; `procedures` are those of the order, whose link is told."""
    report, current = of.report, of.current
    about = set(procedures)
    link = next((each for each in of.links if not about or each.procedure_id in about), None)
    names = {each.id: each.description or each.code for each in of.procedures}
    return {
        "id": report.id,
        "number": _number(of.identifiers),
        "state": report.state.value,
        "version": report.version,
        "versions": len(of.versions),
        "title": report.title,
        "procedure": names.get(link.procedure_id, "") if link and link.procedure_id is not None else "",
        "issued": current.issued,
        "interpreter": current.interpreter,
        "text_length": len(current.text),
        "attachments": [_attachment(each) for each in of.documents(current)],
        "link": _link(link) if link else None,
        "newer_images_at": iso(report.newer_images_at),
        "received_at": iso(report.received_at),
        "at": iso(report.changed_at),
    }


def report_view(of: ReportFile) -> Json:
    """Return a report with its text, all its versions and everything it refers to; patient and holds are not in it."""
    return {
        **report_short(of),
        "text": of.current.text,
        "says": {
            "name": of.report.said_name,
            "birth_date": of.report.said_birth_date,
            "sex": of.report.said_sex,
        },
        "sender": of.report.sender,
        "identifiers": [{"kind": each.kind, "value": each.value, "issuer": each.issuer} for each in of.identifiers],
        "orders": [
            {"accession_number": each.accession_number, "accession_issuer": each.accession_issuer, "id": each.id}
            for each in of.orders
        ],
        "links": [_link(each) for each in of.links],
        "version_list": [_version(of, each) for each in of.versions],
    }


def _number(of: Iterable[ReportIdentifier]) -> str:
    return next((each.value for each in of if each.kind == "report"), "")


def _version(of: ReportFile, version: ReportVersion) -> Json:
    return {
        "number": version.number,
        "state": version.state.value,
        "is_current": version.number == of.report.version,
        "is_late": version.is_late,
        "at": iso(version.at),
        "issued": version.issued,
        "observed": version.observed,
        "interpreter": version.interpreter,
        "assistant": version.assistant,
        "author": version.author,
        "text": version.text,
        "results": len(rows_in(version.content)),
        "withdrawn": len(version.content.get("withdrawn", ())),
        "attachments": [_attachment(each) for each in of.documents(version)],
        "message_id": version.cause_id,
    }


def _attachment(of: ReportAttachment) -> Json:
    return {
        "id": of.id,
        "title": of.title,
        "media_type": of.media_type,
        "said_type": of.said_type,
        "pointer": of.pointer or None,
        "size": of.size_bytes,
    }


def _link(of: ReportLink) -> Json:
    return {
        "rule": of.rule,
        "reason": of.reason,
        "evidence": of.evidence,
        "linked_by": of.linked_by,
        "at": iso(of.at),
    }
