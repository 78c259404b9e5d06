"""What a route on an event sees: the event with patient, order, procedure, step, study and report, as plain data.

The names here are what `when:` and mappings `from: event` may use (docs/reference).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.linkage.identity import KnownPatient
from engine.linkage.report_identity import KnownReport
from engine.linkage.result import rows_in, section_text, text_of
from engine.linkage.transition import KnownOrder
from engine.records.record import Event, RequestedProcedure, ScheduledStep, Study
from engine.store import known
from engine.store import report as reports
from engine.store.unit import Unit


def event_view(unit: Unit, event: Event) -> dict[str, Any]:
    """Return the source that event routes and their mappings read; rows the event does not name are left out."""
    view: dict[str, Any] = {
        "event": {"id": event.id, "name": event.name, "at": _stamp(event.at), "detail": event.detail}
    }
    patient = known.survivor(unit, event.patient_id) if event.patient_id is not None else None
    if patient is not None:
        view["patient"] = _patient(patient)
    if event.order_id is not None:
        view |= _order(known.order(unit, event.order_id), event)
    study = known.study(unit, event.study_id) if event.study_id is not None else None
    if study is not None:
        view["study"] = _study(study)
    if event.report_id is not None:
        view["report"] = _report(reports.report(unit, event.report_id))
    return view


def _stamp(moment: datetime | None) -> str:
    return moment.strftime("%Y%m%d%H%M%S+0000") if moment is not None else ""


def _patient(of: KnownPatient) -> dict[str, Any]:
    return {
        "key": str(of.patient.id),
        "name": of.patient.name,
        "birth_date": of.patient.birth_date,
        "sex": of.patient.sex,
        "identifiers": [
            {"value": each.value, "issuer": each.issuer, "type_code": each.type_code}
            for each in sorted(of.identifiers, key=lambda each: not each.is_primary)
        ],
    }


def _order(of: KnownOrder, event: Event) -> dict[str, Any]:
    order = of.order
    issuers = {(each.kind, each.value): each.issuer for each in of.identifiers}
    procedure = next((each for each in of.procedures if each.id == event.procedure_id), None)
    procedure = procedure or (of.procedures[0] if of.procedures else None)
    placer = (procedure.placer_number if procedure else "") or order.placer_number
    filler = (procedure.filler_number if procedure else "") or order.filler_number
    view: dict[str, Any] = {
        "order": {
            "placer_number": placer,
            "placer_issuer": issuers.get(("placer", placer), ""),
            "filler_number": filler,
            "filler_issuer": issuers.get(("filler", filler), ""),
            "accession_number": order.accession_number,
            "accession_issuer": order.accession_issuer,
            "priority": order.priority,
            "requesting_physician": order.requesting_physician,
            "state": order.state.value,
        },
        "visit": {"number": order.admission_id, "class_code": ""},
    }
    if procedure is not None:
        view["procedure"] = _procedure(procedure)
        steps = of.steps_of(procedure.id)
        if steps:
            view["step"] = _step(steps[0])
    return view


def _procedure(of: RequestedProcedure) -> dict[str, Any]:
    return {
        "rp_id": of.rp_id,
        "study_uid": of.study_uid,
        "code": of.code,
        "code_system": of.code_system,
        "description": of.description,
        "state": of.state.value,
    }


def _step(of: ScheduledStep) -> dict[str, Any]:
    return {"sps_id": of.sps_id, "modality": of.modality, "start": of.start}


def _study(of: Study) -> dict[str, Any]:
    return {
        "study_uid": of.study_uid,
        "modalities": list(of.modalities),
        "study_date": of.study_date,
        "study_time": of.study_time,
        "series": of.series_count,
        "instances": of.instance_count,
        "state": of.state.value,
        "first_received_at": _stamp(of.first_received_at),
        "completed_at": _stamp(of.completed_at),
        "is_update": of.completions > 1,
        "additional_uids": [],
        "patient_id": of.dicom_patient_id,
        "patient_issuer": of.dicom_issuer,
        "patient_name": of.dicom_name,
        "patient_birth_date": of.dicom_birth_date,
        "patient_sex": of.dicom_sex,
        "accession_number": of.accession_number,
        "description": of.description,
    }


def _report(of: KnownReport) -> dict[str, Any]:
    """Findings are all that is no impression, with the headings of their sections; documents are only named."""
    report, current = of.report, of.current
    rows = rows_in(current.content) if current else ()
    impression = section_text(rows, "IMP")
    numbers = of.numbers("report")
    return {
        "number": numbers[0][0] if numbers else "",
        "issuer": numbers[0][1] if numbers else "",
        "state": report.state.value,
        "version": report.version,
        "title": report.title,
        "code": report.code,
        "code_system": report.code_system,
        "issued": report.issued,
        "observed": current.observed if current else "",
        "interpreter": current.interpreter if current else "",
        "assistant": current.assistant if current else "",
        "text": current.text if current else "",
        "findings": text_of([row for row in rows if row.suffix != "IMP"]),
        "impression": impression,
        "study_uids": [value for value, _ in of.numbers("study")],
        "attachments": list(of.documents),
    }
