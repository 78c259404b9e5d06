"""For whom a FHIR order is: its contained Patient, or one of ours that it refers to; and refusals in words of FHIR.

Source: FHIR R4 references.html (contained, literal and logical references); spec sheet fhir.md section 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.config.site import Site
from engine.core.errors import PeerError
from engine.core.ids import RowId
from engine.fhir.errors import Issue, ResourceRefused, refused
from engine.fhir.service_request import ContainedPatient, PatientId, Subject, subject_of
from engine.linkage.identity import KnownPatient
from engine.records.fact import IdentifierFact
from engine.store import resource
from engine.store.reader import Reader

_SUBJECT = "ServiceRequest.subject"
_MOST_DIGITS = 18
"""Of a row id: 63 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFound:
    """The patient of an order. `identifiers` are those of the record that a reference led to; None when contained."""

    resource: dict[str, Any]
    where: str
    identifiers: tuple[IdentifierFact, ...] | None = None


async def subject_patient(order: dict[str, Any], base_url: str, site: Site, reader: Reader) -> SubjectFound:
    """Return the patient of a valid ServiceRequest.

    Raises:
        ResourceRefused: FHIR-111, it refers to nobody who is known here; FHIR-124, to several.
    """
    subject = subject_of(order, base_url)
    if subject is None:
        raise refused("FHIR-111", "does not refer to a patient that could be known here", where=_SUBJECT)
    if isinstance(subject, ContainedPatient):
        return SubjectFound(resource=subject.resource, where=subject.where)
    found = await _known(subject, site, reader)
    if not found:
        raise refused("FHIR-111", "refers to no patient that is known here", where=_SUBJECT)
    if len(found) > 1:
        raise refused("FHIR-124", "refers to more than one patient", where=_SUBJECT)
    identifiers = sorted(found[0].identifiers, key=lambda each: not each.is_primary)
    return SubjectFound(
        resource={"resourceType": "Patient", "identifier": [{"value": each.value} for each in identifiers]},
        where=_SUBJECT,
        identifiers=tuple(
            IdentifierFact(value=each.value, issuer=each.issuer, type_code=each.type_code) for each in identifiers
        ),
    )


async def _known(subject: Subject, site: Site, reader: Reader) -> tuple[KnownPatient, ...]:
    match subject:
        case PatientId(id=text):
            row = row_of(text)
            known = await reader.run(lambda connection: resource.survivor(connection, row)) if row else None
            return () if known is None else (known,)
        case ContainedPatient():
            return ()
        case _:
            token = subject.token
            issuer = None if token.system is None else site.issuers.key("", token.system)
            return await reader.run(lambda connection: resource.patients_with(connection, token.value, issuer))


def row_of(logical_id: str) -> RowId | None:
    """Return the row of a logical id; None when it cannot be one of ours."""
    if logical_id.isascii() and logical_id.isdigit() and len(logical_id) <= _MOST_DIGITS:
        return RowId(int(logical_id))
    return None


_IN_FHIR: dict[str, tuple[str, str]] = {
    "HL7-111": ("an identifier of type PLAC, FILL or ACSN is required", "ServiceRequest.identifier"),
    "HL7-113": ("the status is not taken here", "ServiceRequest.status"),
    "HL7-120": ("no order has these identifiers", "ServiceRequest.identifier"),
    "HL7-121": ("an order with these identifiers and other content exists", "ServiceRequest.identifier"),
}
"""code → (words, FHIRPath) for what linkage says of an order in the words of HL7 v2."""


def in_words_of_fhir(error: PeerError, patient_at: str) -> ResourceRefused:
    """Return a refusal of mapping or linkage with a FHIRPath of the resource that was sent.

    Args:
        error: What was raised.
        patient_at: FHIRPath of the contained Patient.
    """
    if isinstance(error, ResourceRefused):
        return error
    where = error.where or ""
    if "^" in where and error.code in _IN_FHIR:
        text, where = _IN_FHIR[error.code]
        return ResourceRefused([Issue(code=error.code, text=text, where=where)])
    if where.startswith("Patient."):
        where = f"{patient_at}{where.removeprefix('Patient')}"
    issue = Issue(code=error.code, text=error.text, where="" if "^" in where else where)
    return ResourceRefused([issue], kept_text=error.kept_text)
