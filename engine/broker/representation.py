"""Records as FHIR R4 resources: what an ORM or an image left behind reads the same as what a ServiceRequest did.

Built from the records at every read, so there is nothing to keep in step.
Source: spec sheet fhir.md sections 2, 3.2 and 5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from engine.config.site import Site
from engine.fhir import element, system
from engine.linkage.identity import KnownPatient
from engine.records.record import ImagingOrder, PatientIdentifier, RequestedProcedure, Series
from engine.records.state import OrderState, PatientState, StudyState
from engine.store.resource import IndexedStudy, Loaded, OrderedProcedure

ORDER_STATUS: dict[OrderState, str] = {
    OrderState.PLACED: "active",
    OrderState.SCHEDULED: "active",
    OrderState.IN_PROGRESS: "active",
    OrderState.ACQUIRED: "active",
    OrderState.REPORTED: "active",
    OrderState.COMPLETED: "completed",
    OrderState.HELD: "on-hold",
    OrderState.CANCELLED: "revoked",
    OrderState.DISCONTINUED: "revoked",
    OrderState.REPLACED: "revoked",
    OrderState.IN_ERROR: "entered-in-error",
}
STUDY_STATUS: dict[StudyState, str] = {
    StudyState.EXPECTED: "registered",
    StudyState.RECEIVING: "available",
    StudyState.COMPLETE_VERIFIED: "available",
    StudyState.COMPLETE_ASSUMED: "available",
    StudyState.INCOMPLETE: "available",
    StudyState.REJECTED: "cancelled",
    StudyState.DELETED: "entered-in-error",
}
_PRIORITY = {"STAT": "stat", "HIGH": "urgent", "MEDIUM": "routine", "ROUTINE": "routine", "LOW": "routine"}
_GENDER = {"F": "female", "M": "male", "O": "other"}
_NOT_THE_EXAMINATION = frozenset({"SR", "PR", "KO"})
_UNKNOWN = {"extension": [{"url": system.ABSENT_REASON, "valueCode": "unknown"}]}


class Representation:
    """Makes resources as one site names things: its issuers, its time zone, its coding schemes."""

    def __init__(self, site: Site) -> None:
        self._issuers = site.issuers
        self._zone = ZoneInfo(site.settings.site.timezone)
        schemes = site.tables.get("coding-schemes")
        rows: Mapping[str, str] = schemes.rows if schemes else {}
        self._schemes = {scheme: uri for uri, scheme in rows.items()} | system.CODING_SCHEMES

    def of(self, loaded: Loaded) -> dict[str, Any]:
        """Return the resource of whatever was loaded."""
        match loaded:
            case OrderedProcedure():
                return self.service_request(loaded)
            case IndexedStudy():
                return self.imaging_study(loaded)
            case KnownPatient():
                return self.patient(loaded)

    def patient(self, known: KnownPatient) -> dict[str, Any]:
        """Return a Patient; a merged one points at its survivor."""
        of = known.patient
        made: dict[str, Any] = {
            "identifier": self.identifiers(known),
            "active": of.state is not PatientState.MERGED,
        }
        name = element.human_name(of.name)
        if name:
            made["name"] = [{"use": "official", **name}]
        if of.sex in _GENDER:
            made["gender"] = _GENDER[of.sex]
        if birth_date := element.date(of.birth_date):
            made["birthDate"] = birth_date
        if of.merged_into is not None:
            made["link"] = [{"other": _reference("Patient", of.merged_into), "type": "replaced-by"}]
        return _resource("Patient", of.id, made, of.updated_at)

    def identifiers(self, known: KnownPatient) -> list[dict[str, Any]]:
        """Return a patient's identifiers, the primary one first."""
        ordered = sorted(known.identifiers, key=lambda each: not each.is_primary)
        return [self._patient_identifier(each) for each in ordered]

    def _patient_identifier(self, of: PatientIdentifier) -> dict[str, Any]:
        uri = self._issuers.uri(of.issuer)
        return element.identifier(of.value, system=uri, type_code=of.type_code)

    def service_request(self, of: OrderedProcedure) -> dict[str, Any]:
        """Return the ServiceRequest of a requested procedure. Its version counts what happened to the order."""
        order, procedure = of.known.order, of.procedure
        made: dict[str, Any] = {
            "identifier": self._order_identifiers(of),
            "status": ORDER_STATUS[procedure.state],
            "intent": "order",
            "category": _categories(of),
            "priority": _PRIORITY.get(order.priority, "routine"),
            "code": self._code(of),
            "subject": _reference("Patient", order.patient_id),
        }
        starts = sorted(step.start for step in of.known.steps_of(procedure.id) if step.start)
        if starts and (start := element.date_time(starts[0], self._zone)):
            made["occurrenceDateTime"] = start
        made["authoredOn"] = element.instant(order.placed_at)
        made |= _words(order, procedure)
        return _resource("ServiceRequest", procedure.id, made, of.changed_at, version=str(of.version))

    def _order_identifiers(self, of: OrderedProcedure) -> list[dict[str, Any]]:
        made = [
            element.identifier(number.value, system=self._issuers.uri(number.issuer), type_code=code)
            for kind, code in (("accession", "ACSN"), ("placer", "PLAC"), ("filler", "FILL"))
            for number in of.known.identifiers
            if number.kind == kind
        ]
        rp_id = of.procedure.rp_id
        if rp_id:
            made.append(
                element.identifier(rp_id, system=system.REQUESTED_PROCEDURE_ID, type_text="Requested Procedure ID")
            )
        if of.procedure.study_uid:
            made.append(element.uid_identifier(of.procedure.study_uid))
        return made

    def _code(self, of: OrderedProcedure) -> dict[str, Any]:
        procedure = of.procedure
        made: dict[str, Any] = {}
        if procedure.code:
            coding = {"code": procedure.code}
            uri = self._schemes.get(procedure.code_system, "")
            uri = uri or (procedure.code_system if ":" in procedure.code_system else "")
            if uri:
                coding["system"] = uri
            if procedure.description:
                coding["display"] = procedure.description
            made["coding"] = [coding]
        if procedure.description:
            made["text"] = procedure.description
        return made or dict(_UNKNOWN)

    def imaging_study(self, of: IndexedStudy) -> dict[str, Any]:
        """Return the ImagingStudy of the index; its subject is unknown until the study was matched to a patient."""
        study = of.study
        patient = study.patient_id
        made: dict[str, Any] = {
            "identifier": self._study_identifiers(of),
            "status": STUDY_STATUS[study.state],
            "modality": [element.modality(code) for code in _shown(study.modalities)],
            "subject": dict(_UNKNOWN) if patient is None else _reference("Patient", patient),
            "basedOn": [_reference("ServiceRequest", procedure.id) for procedure in of.procedures],
            "numberOfSeries": study.series_count,
            "numberOfInstances": study.instance_count,
            "series": [_series(one) for one in of.series],
        }
        if started := element.date_time(study.study_date + study.study_time, self._zone):
            made["started"] = started
        described = [study.description, *(procedure.description for procedure in of.procedures)]
        if description := next((text for text in described if text), ""):
            made["description"] = description
        return _resource("ImagingStudy", study.id, made, study.last_received_at)

    def _study_identifiers(self, of: IndexedStudy) -> list[dict[str, Any]]:
        study = of.study
        numbers = [(number.value, number.issuer) for number in of.accessions]
        if not numbers and study.accession_number:
            numbers = [(study.accession_number, study.accession_issuer)]
        made = [element.uid_identifier(study.study_uid)]
        made += [
            element.identifier(value, system=self._issuers.uri(issuer), type_code="ACSN")
            for value, issuer in dict.fromkeys(numbers)
        ]
        if study.dicom_study_id:
            made.append(element.identifier(study.dicom_study_id, system=system.STUDY_ID, type_text="Study ID"))
        return made


def _categories(of: OrderedProcedure) -> list[dict[str, Any]]:
    imaging = {"system": system.SNOMED, "code": system.IMAGING, "display": "Imaging"}
    modalities = dict.fromkeys(step.modality for step in of.known.steps_of(of.procedure.id) if step.modality)
    return [{"coding": [imaging]}, *({"coding": [element.modality(code)]} for code in modalities)]


def _words(order: ImagingOrder, procedure: RequestedProcedure) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if requester := element.display_name(order.requesting_physician):
        made["requester"] = {"display": requester}
    if order.reason:
        made["reasonCode"] = [{"text": order.reason}]
    if notes := [{"text": text} for text in (order.comments, procedure.comments) if text]:
        made["note"] = notes
    return made


def _shown(modalities: tuple[str, ...]) -> tuple[str, ...]:
    """Return a study's modalities without those that only describe it, unless there are no others."""
    return tuple(each for each in modalities if each not in _NOT_THE_EXAMINATION) or modalities


def _series(of: Series) -> dict[str, Any]:
    made: dict[str, Any] = {"uid": of.series_uid, "modality": element.modality(of.modality or "OT")}
    if of.number.strip().isdigit():
        made["number"] = int(of.number)
    if of.description:
        made["description"] = of.description
    made["numberOfInstances"] = of.instance_count
    return made


def _reference(kind: str, row: int) -> dict[str, Any]:
    return {"reference": f"{kind}/{row}"}


def _resource(
    kind: str, row: int, content: dict[str, Any], changed_at: datetime, *, version: str = ""
) -> dict[str, Any]:
    """Return a resource with its meta; a version that is not counted is a digest of the content, which is as honest."""
    content = {name: value for name, value in content.items() if value not in ([], "")}
    if not version:
        version = hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]
    meta = {"versionId": version, "lastUpdated": element.instant(changed_at)}
    return {"resourceType": kind, "id": str(row), "meta": meta, **content}
