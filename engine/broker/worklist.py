"""Prepares a step's worklist answer when the step, its order or its patient changes; asking then only reads.

Source: spec/worklist.md section 2 (which attribute comes from where) and 2.4 (lengths).
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from engine.linkage.identity import KnownPatient
from engine.linkage.state_table import VISIBLE_STEPS
from engine.linkage.transition import KnownOrder
from engine.records.issuer import IssuerTable
from engine.records.record import PatientIdentifier, RequestedProcedure, ScheduledStep
from engine.records.state import OrderState, StepState
from engine.store.worklist import WorklistItem

_LO = 64
_LT = 10_240
_SH = 16
_FULL_DATE = 8
_HIDDEN_PROCEDURES = frozenset({OrderState.HELD, OrderState.CANCELLED, OrderState.REPLACED})
_NEVER_SERVED = frozenset({StepState.HELD_INCOMPLETE})


def worklist_items(known: KnownOrder, patient: KnownPatient, issuers: IssuerTable) -> list[WorklistItem]:
    """Return every step of an order as it stands on the worklist now; one that lacks something is left out."""
    procedures = {procedure.id: procedure for procedure in known.procedures}
    return [
        _item(step, procedures[step.procedure_id], known, patient, issuers)
        for step in known.steps
        if step.state not in _NEVER_SERVED
    ]


def primary_identifier(patient: KnownPatient) -> PatientIdentifier | None:
    """Return the identifier that stands for a patient; None for a patient without any."""
    return next((each for each in patient.identifiers if each.is_primary), next(iter(patient.identifiers), None))


def _item(
    step: ScheduledStep,
    procedure: RequestedProcedure,
    known: KnownOrder,
    patient: KnownPatient,
    issuers: IssuerTable,
) -> WorklistItem:
    order = known.order
    primary = primary_identifier(patient)
    date, time = step.start[:8], step.start[8:14] or "000000"
    return WorklistItem(
        step_id=step.id,
        patient_row=patient.patient.id,
        visible=step.state in VISIBLE_STEPS and procedure.state not in _HIDDEN_PROCEDURES and bool(date),
        patient_id=primary.value if primary else "",
        accession_number=order.accession_number,
        rp_id=procedure.rp_id,
        study_uid=procedure.study_uid,
        sps_id=step.sps_id,
        modality=step.modality,
        station_aes=step.station_aes,
        start_date=date,
        start_time=time,
        attributes={
            **_patient_attributes(patient, issuers),
            **_clinical_attributes(known.order.clinical),
            **_order_attributes(known, procedure, issuers),
            "ScheduledProcedureStepSequence": [_step_attributes(step, procedure, date, time)],
        },
    )


def _patient_attributes(patient: KnownPatient, issuers: IssuerTable) -> dict[str, Any]:
    person = patient.patient
    primary = primary_identifier(patient)
    others = [each for each in patient.identifiers if each is not primary]
    return {
        "PatientName": person.name.replace("\\", "/"),
        "PatientID": primary.value if primary else "",
        "IssuerOfPatientID": issuers.hd(primary.issuer)[0] if primary else "",
        "PatientBirthDate": person.birth_date if len(person.birth_date) == _FULL_DATE else "",
        "PatientSex": person.sex if person.sex in ("F", "M", "O") else "",
        "OtherPatientIDsSequence": [
            {"PatientID": each.value, "IssuerOfPatientID": issuers.hd(each.issuer)[0], "TypeOfPatientID": "TEXT"}
            for each in others
        ],
        "ReferencedPatientSequence": [],
    }


def _clinical_attributes(said: dict[str, str]) -> dict[str, Any]:
    """Return what a modality must know of the patient; a long alert or allergy goes on in a next value."""
    attributes: dict[str, Any] = {
        "PatientWeight": said.get("weight_kg", ""),
        "PatientState": _text(said.get("patient_state", "")),
        "PregnancyStatus": said.get("pregnancy_status", ""),
        "MedicalAlerts": _values(said.get("medical_alerts", "")),
        "Allergies": _values(said.get("allergies", "")),
        "SpecialNeeds": _text(said.get("special_needs", "")),
        "ConfidentialityConstraintOnPatientDataDescription": _text(said.get("confidentiality", "")),
        "PatientTransportArrangements": _text(said.get("transport", "")),
    }
    if not said:
        return attributes
    more = {
        "PatientSize": said.get("size_m", ""),
        "LastMenstrualDate": said.get("last_menstrual_date", ""),
        "AdmittingDiagnosesDescription": _values(said.get("diagnoses", "")),
        "PatientComments": said.get("patient_comments", "")[:_LT],
    }
    return attributes | {name: value for name, value in more.items() if value}


def _order_attributes(known: KnownOrder, procedure: RequestedProcedure, issuers: IssuerTable) -> dict[str, Any]:
    order = known.order
    return {
        "AccessionNumber": order.accession_number,
        "IssuerOfAccessionNumberSequence": _issuer_item(order.accession_issuer, issuers),
        "PlacerOrderNumberImagingServiceRequest": _number(procedure.placer_number or order.placer_number),
        "FillerOrderNumberImagingServiceRequest": _number(procedure.filler_number or order.filler_number),
        "RequestingPhysician": order.requesting_physician.replace("\\", "/"),
        "ReferringPhysicianName": order.referring_physician.replace("\\", "/"),
        "RequestingService": _text(order.requesting_service),
        "ImagingServiceRequestComments": order.comments[:_LT],
        "AdmissionID": order.admission_id,
        "CurrentPatientLocation": _text(order.patient_location),
        "RequestedProcedureID": procedure.rp_id,
        "StudyInstanceUID": procedure.study_uid,
        "RequestedProcedureDescription": _text(procedure.description),
        "RequestedProcedureCodeSequence": _code_item(procedure.code, procedure.code_system, procedure.description),
        "RequestedProcedurePriority": order.priority,
        "ReasonForTheRequestedProcedure": _text(procedure.reason or order.reason),
        "RequestedProcedureComments": procedure.comments[:_LT],
        "ReferencedStudySequence": [],
    }


def _step_attributes(step: ScheduledStep, procedure: RequestedProcedure, date: str, time: str) -> dict[str, Any]:
    return {
        "ScheduledStationAETitle": list(step.station_aes),
        "ScheduledProcedureStepStartDate": date,
        "ScheduledProcedureStepStartTime": time,
        "Modality": step.modality,
        "ScheduledPerformingPhysicianName": step.performing_physician.replace("\\", "/"),
        "ScheduledProcedureStepDescription": _text(step.description or procedure.description),
        "ScheduledProtocolCodeSequence": _code_item(
            step.protocol_code or procedure.code,
            step.protocol_system or procedure.code_system,
            step.protocol_text or step.description or procedure.description,
        ),
        "ScheduledProcedureStepID": step.sps_id,
        "ScheduledStationName": _text(step.station_name, _SH),
        "ScheduledProcedureStepLocation": _text(step.location, _SH),
        "ScheduledProcedureStepStatus": step.state.value,
        "PreMedication": "",
        "RequestedContrastAgent": "",
        "CommentsOnTheScheduledProcedureStep": "",
    }


def _text(value: str, most: int = _LO) -> str:
    """Cut descriptive text to its VR and keep it one value; identifiers never come here."""
    return value.replace("\\", "/")[:most]


def _values(stated: str) -> list[str]:
    """Return the values of a list parted by backslashes; one too long for an LO is broken between words."""
    return [part for value in stated.split("\\") if value.strip() for part in wrap(value.strip(), _LO)]


def _number(value: str) -> str:
    """Leave out a number that an LO cannot hold: it is never cut."""
    return value if len(value) <= _LO else ""


def _code_item(code: str, system: str, meaning: str) -> list[dict[str, Any]]:
    if not code:
        return []
    value = {"CodeValue": code} if len(code) <= _SH else {"LongCodeValue": code}
    return [{**value, "CodingSchemeDesignator": _text(system or "99LOCAL", _SH), "CodeMeaning": _text(meaning or code)}]


def _issuer_item(key: str, issuers: IssuerTable) -> list[dict[str, Any]]:
    if not key:
        return []
    namespace, oid, kind = issuers.hd(key)
    item = {"LocalNamespaceEntityID": namespace}
    if oid:
        item |= {"UniversalEntityID": oid, "UniversalEntityIDType": kind}
    return [item]
