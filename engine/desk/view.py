"""Records as plain data for the JSON API and the pages: the same words as the standards, times as ISO 8601.

Patient attributes are written as DICOM writes them: name as PN, birth date as YYYYMMDD, sex as F, M or O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from engine.core.ids import RowId
from engine.desk.advice import advice_for
from engine.desk.moment import iso, iso_of_dicom
from engine.desk.report import report_short
from engine.linkage.identity import KnownPatient
from engine.records.record import Event, Hold, ImagingOrder, Link, RequestedProcedure, ScheduledStep, Series, Study
from engine.records.state import Danger, HoldState
from engine.store.listing import OrderRow, StudyRow
from engine.store.timeline import OrderFile, StudyFile
from engine.store.traffic import MessageHead, NoticeHead

Json = dict[str, Any]
HELD = "HELD"
"""What a study is called that a person must decide about before it can be linked."""


def patient_view(of: KnownPatient | None) -> Json | None:
    """Return a patient; `id` is the identifier that stands for the person, `row` our own number."""
    if of is None:
        return None
    primary = next((each for each in of.identifiers if each.is_primary), next(iter(of.identifiers), None))
    return {
        "id": primary.value if primary else "",
        "issuer": primary.issuer if primary else "",
        "name": of.patient.name,
        "birth_date": of.patient.birth_date,
        "sex": of.patient.sex,
        "state": of.patient.state.value,
        "row": of.patient.id,
        "identifiers": [
            {"value": each.value, "issuer": each.issuer, "type_code": each.type_code} for each in of.identifiers
        ],
    }


def _order_head(of: ImagingOrder) -> Json:
    return {
        "id": of.id,
        "accession_number": of.accession_number,
        "accession_issuer": of.accession_issuer,
        "state": of.state.value,
        "placer_number": of.placer_number,
        "filler_number": of.filler_number,
        "priority": of.priority,
        "placed_at": iso(of.placed_at),
    }


def order_short(of: OrderRow) -> Json:
    """Return an order as it stands in a list."""
    patient = patient_view(of.patient)
    if patient is not None:
        del patient["identifiers"]
    return {
        **_order_head(of.order),
        "patient": patient,
        "procedures": len(of.procedures),
        "study_uids": [procedure.study_uid for procedure in of.procedures],
        "descriptions": list(dict.fromkeys(each.description or each.code for each in of.procedures)),
    }


def order_view(of: OrderFile, timezone: ZoneInfo) -> Json:
    """Return an order with everything that belongs to it."""
    order = of.order
    steps = _grouped(of.steps)
    links = {link.study_id: link for link in reversed(of.links)}
    procedures = {procedure.id: procedure for procedure in of.procedures}
    return {
        **_order_head(order),
        "patient": patient_view(of.patient),
        "requesting_physician": order.requesting_physician,
        "referring_physician": order.referring_physician,
        "requesting_service": order.requesting_service,
        "reason": order.reason,
        "comments": "\n".join(text for text in (order.comments, *(each.comments for each in of.procedures)) if text),
        "admission_id": order.admission_id,
        "patient_location": order.patient_location,
        "identifiers": [{"kind": each.kind, "value": each.value, "issuer": each.issuer} for each in of.identifiers],
        "procedures": [_procedure(each, steps.get(each.id, []), timezone) for each in of.procedures],
        "studies": [
            {
                **_study_head(study, of.holds, is_linked=study.id in links),
                "link": link_view(links.get(study.id), procedures),
                "rp_ids": [procedures[link.procedure_id].rp_id for link in of.links if link.study_id == study.id],
            }
            for study in of.studies
        ],
        "reports": [report_short(each, procedures) for each in of.reports],
        "notices": [notice_view(each) for each in of.notices],
        "holds": [hold_view(each, {study.id: study.study_uid for study in of.studies}) for each in of.holds],
        "events": [event_view(each) for each in of.events],
        "messages": [message_short(each) for each in of.messages],
    }


def _grouped(steps: Iterable[ScheduledStep]) -> dict[RowId, list[ScheduledStep]]:
    grouped: dict[RowId, list[ScheduledStep]] = {}
    for step in steps:
        grouped.setdefault(step.procedure_id, []).append(step)
    return grouped


def _procedure(of: RequestedProcedure, steps: Iterable[ScheduledStep], timezone: ZoneInfo) -> Json:
    return {
        "rp_id": of.rp_id,
        "study_uid": of.study_uid,
        "study_uid_derived": of.study_uid_derived,
        "state": of.state.value,
        "code": of.code,
        "code_system": of.code_system,
        "description": of.description,
        "reason": of.reason,
        "steps": [
            {
                "sps_id": step.sps_id,
                "state": step.state.value,
                "station_ae": "\\".join(step.station_aes),
                "station_name": step.station_name,
                "location": step.location,
                "modality": step.modality,
                "start": iso_of_dicom(step.start, timezone),
                "start_assumed": step.start_assumed,
                "description": step.description or of.description,
                "missing": step.missing,
            }
            for step in steps
        ],
    }


def study_state(of: Study, holds: Iterable[Hold], *, is_linked: bool) -> str:
    """Return the state of a study: HELD while a red or amber hold is open and nothing is linked.

    Source: spec/workflow.md section 4.4.
    """
    grave = any(
        hold.study_id == of.id and hold.state is HoldState.OPEN and hold.danger is not Danger.YELLOW for hold in holds
    )
    return HELD if grave and not is_linked else of.state.value


def _study_head(of: Study, holds: Iterable[Hold], *, is_linked: bool) -> Json:
    return {
        "id": of.id,
        "study_uid": of.study_uid,
        "state": study_state(of, holds, is_linked=is_linked),
        "series": of.series_count,
        "instances": of.instance_count,
        "modalities": list(of.modalities),
        "description": of.description,
        "study_date": of.study_date,
        "study_time": of.study_time,
        "accession_number": of.accession_number,
        "accession_issuer": of.accession_issuer,
        "source_ae": of.source_ae,
        "images_say": {
            "patient_id": of.dicom_patient_id,
            "issuer": of.dicom_issuer,
            "name": of.dicom_name,
            "birth_date": of.dicom_birth_date,
            "sex": of.dicom_sex,
        },
        "first_received_at": iso(of.first_received_at),
        "last_received_at": iso(of.last_received_at),
        "completed_at": iso(of.completed_at),
    }


def study_short(of: StudyRow) -> Json:
    """Return a study as it stands in a list."""
    return {
        **_study_head(of.study, of.holds, is_linked=bool(of.links)),
        "linked": bool(of.links),
        "open_holds": len(of.holds),
    }


def study_view(of: StudyFile) -> Json:
    """Return a study with everything that belongs to it."""
    procedures = {procedure.id: procedure for procedure in of.procedures}
    standing = [link for link in of.links if link.undone_at is None]
    return {
        **_study_head(of.study, of.holds, is_linked=bool(standing)),
        "patient": patient_view(of.patient),
        "link": link_view(next(iter(standing), None), procedures),
        "links": [link_view(link, procedures) for link in of.links],
        "orders": [
            {
                **_order_head(order),
                "patient": patient_view(of.order_patients.get(order.patient_id)),
                "linked": any(procedures[link.procedure_id].order_id == order.id for link in standing),
            }
            for order in of.orders
        ],
        "series_list": [_series(each) for each in of.series],
        "notices": [notice_view(each) for each in of.notices],
        "holds": [hold_view(each, {of.study.id: of.study.study_uid}) for each in of.holds],
        "events": [event_view(each) for each in of.events],
    }


def _series(of: Series) -> Json:
    return {
        "series_uid": of.series_uid,
        "modality": of.modality,
        "number": of.number,
        "description": of.description,
        "instances": of.instance_count,
    }


def link_view(of: Link | None, procedures: Mapping[RowId, RequestedProcedure]) -> Json | None:
    """Return a link with its reason; None for none."""
    if of is None:
        return None
    procedure = procedures.get(of.procedure_id)
    return {
        "id": of.id,
        "rule": of.rule,
        "reason": of.reason,
        "evidence": of.evidence,
        "linked_by": of.linked_by,
        "at": iso(of.at),
        "undone_at": iso(of.undone_at),
        "rp_id": procedure.rp_id if procedure else "",
    }


def hold_view(of: Hold, study_uids: Mapping[RowId, str]) -> Json:
    """Return a hold with its reason and what to do about it."""
    return {
        "id": of.id,
        "code": of.code,
        "danger": of.danger.value,
        "state": of.state.value,
        "reason": of.reason,
        "advice": advice_for(of.code, of.danger),
        "evidence": of.evidence,
        "study_uid": study_uids.get(of.study_id) if of.study_id is not None else None,
        "order_id": of.order_id,
        "patient_row": of.patient_id,
        "report_id": of.report_id,
        "message_id": of.message_id,
        "raised_at": iso(of.raised_at),
        "resolved_at": iso(of.resolved_at),
        "resolution": of.resolution,
    }


def event_view(of: Event) -> Json:
    """Return an event with its cause."""
    return {
        "id": of.id,
        "at": iso(of.at),
        "name": of.name,
        "cause": {"kind": of.cause_kind, "id": of.cause_id},
        "detail": of.detail,
    }


def notice_view(of: NoticeHead) -> Json:
    """Return an outgoing notice; `answer` is the code of the receiver's answer, None while there is none."""
    return {
        "id": of.id,
        "to": of.destination,
        "event": of.event_name,
        "state": of.state.value,
        "attempts": of.attempts,
        "answer": of.answer_code or None,
        "answer_text": of.answer_text,
        "kind": of.kind,
        "route": of.route,
        "control_id": of.control_id,
        "order_id": of.order_id,
        "created_at": iso(of.created_at),
        "first_tried_at": iso(of.first_tried_at),
        "last_tried_at": iso(of.last_tried_at),
        "due_at": iso(of.due_at),
    }


def message_short(of: MessageHead) -> Json:
    """Return a received message as it stands in a list."""
    return {
        "id": of.id,
        "received_at": iso(of.received_at),
        "kind": of.kind,
        "listener": of.listener,
        "peer": of.peer,
        "sender": of.sender,
        "control_id": of.control_id,
        "type": of.message_type,
        "state": of.state.value,
        "code": of.code,
        "text": of.text,
        "place": of.place,
        "size": of.size_bytes,
        "routes": list(of.routes),
        "revision": of.revision,
    }


def changed_view(events: Sequence[Event], orders: Mapping[RowId, ImagingOrder]) -> list[Json]:
    """Return what a message changed: one entry for each event, with the record that it is about."""
    return [_changed(event, orders) for event in events]


def _changed(event: Event, orders: Mapping[RowId, ImagingOrder]) -> Json:
    refs: dict[str, RowId | None] = {
        "study": event.study_id,
        "step": event.step_id,
        "procedure": event.procedure_id,
        "order": event.order_id,
        "patient": event.patient_id,
    }
    noun = event.name.partition(".")[0]
    kind = noun if refs.get(noun) is not None else next((name for name, row in refs.items() if row is not None), noun)
    order = orders.get(event.order_id) if event.order_id is not None else None
    return {
        "kind": kind,
        "id": refs.get(kind),
        "name": event.name,
        "at": iso(event.at),
        "detail": event.detail,
        "order_id": event.order_id,
        "accession_number": order.accession_number if order else None,
        "accession_issuer": order.accession_issuer if order else None,
    }
