"""An EHR that speaks FHIR R4: orders an examination as a ServiceRequest with its Patient inside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.cli.demo.cast import ISSUER, Exam, Person
from engine.fhir.system import CODING_SCHEMES, DCM, IDENTIFIER_TYPE

_GENDER = {"F": "female", "M": "male", "O": "other"}


def service_request(exam: Exam) -> dict[str, Any]:
    """Return an order as a ServiceRequest.

    Source: FHIR R4 ServiceRequest; v2-0203 for the kinds of identifiers.
    """
    return {
        "resourceType": "ServiceRequest",
        "identifier": [_identifier("PLAC", exam.placer_number), _identifier("ACSN", exam.accession_number)],
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": DCM, "code": exam.modality}]}],
        "priority": "routine",
        "code": {
            "coding": [{"system": CODING_SCHEMES["C4"], "code": exam.code, "display": exam.description}],
            "text": exam.description,
        },
        "subject": {"reference": "#patient"},
        "occurrenceDateTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z",
        "contained": [_patient(exam.person)],
    }


def _identifier(kind: str, value: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": kind}]}, "value": value}


def _patient(person: Person) -> dict[str, Any]:
    family, _, given = person.name.partition("^")
    born = person.birth_date
    return {
        "resourceType": "Patient",
        "id": "patient",
        # The assigner's name is what HL7 v2 calls the assigning authority: both lead to the same person.
        "identifier": [{**_identifier("MR", person.patient_id), "assigner": {"display": ISSUER}}],
        "name": [{"family": family, "given": [given]}],
        "gender": _GENDER[person.sex],
        "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:]}",
    }
