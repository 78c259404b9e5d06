"""What a route on an event sees: the event with patient, order, procedure, step and study, as plain data.

The names here are what `when:` and mappings `from: event` may use (docs/reference).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.records.record import Event, RequestedProcedure, ScheduledStep, Study
from engine.store import known
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
    issuers = {each.kind: each.issuer for each in of.identifiers}
    procedure = next((each for each in of.procedures if each.id == event.procedure_id), None)
    procedure = procedure or (of.procedures[0] if of.procedures else None)
    view: dict[str, Any] = {
        "order": {
            "placer_number": order.placer_number,
            "placer_issuer": issuers.get("placer", ""),
            "filler_number": order.filler_number,
            "filler_issuer": issuers.get("filler", ""),
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
    }
