"""Required bindings and reference targets: what fhir.resources does not check.

Source: FHIR R4 definitions of ServiceRequest, Patient and ImagingStudy; value sets bound with strength `required`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from engine.fhir.errors import Issue

ORDER_STATUSES: Final = frozenset(["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"])
_INTENTS = frozenset(
    {
        "proposal",
        "plan",
        "directive",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    }
)
_GENDERS = frozenset(["male", "female", "other", "unknown"])
_IDENTIFIER_USES = frozenset(["usual", "official", "temp", "secondary", "old"])
_NARRATIVES = frozenset(["generated", "extensions", "additional", "empty"])
_EVERYWHERE: dict[str, frozenset[str]] = {"identifier.use": _IDENTIFIER_USES, "text.status": _NARRATIVES}

BINDINGS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "ServiceRequest": {
        "status": ORDER_STATUSES,
        "intent": _INTENTS,
        "priority": frozenset(["routine", "urgent", "asap", "stat"]),
        "requisition.use": _IDENTIFIER_USES,
        **_EVERYWHERE,
    },
    "Patient": {
        "gender": _GENDERS,
        "contact.gender": _GENDERS,
        "name.use": frozenset(["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"]),
        "telecom.system": frozenset(["phone", "fax", "email", "pager", "url", "sms", "other"]),
        "telecom.use": frozenset(["home", "work", "temp", "old", "mobile"]),
        "address.use": frozenset(["home", "work", "temp", "old", "billing"]),
        "address.type": frozenset(["postal", "physical", "both"]),
        "link.type": frozenset(["replaced-by", "replaces", "refer", "seealso"]),
        **_EVERYWHERE,
    },
    "ImagingStudy": {
        "status": frozenset(["registered", "available", "cancelled", "entered-in-error", "unknown"]),
        **_EVERYWHERE,
    },
}

_CLINICIANS = frozenset(["Practitioner", "PractitionerRole", "Organization"])
TARGETS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "ServiceRequest": {
        "subject": frozenset(["Patient", "Group", "Location", "Device"]),
        "encounter": frozenset({"Encounter"}),
        "requester": _CLINICIANS | frozenset(["Patient", "RelatedPerson", "Device"]),
        "performer": _CLINICIANS | frozenset(["CareTeam", "HealthcareService", "Patient", "Device", "RelatedPerson"]),
        "basedOn": frozenset(["CarePlan", "ServiceRequest", "MedicationRequest"]),
        "replaces": frozenset({"ServiceRequest"}),
        "locationReference": frozenset({"Location"}),
        "specimen": frozenset({"Specimen"}),
        "reasonReference": frozenset(["Condition", "Observation", "DiagnosticReport", "DocumentReference"]),
        "insurance": frozenset(["Coverage", "ClaimResponse"]),
        "relevantHistory": frozenset({"Provenance"}),
    },
    "Patient": {
        "generalPractitioner": _CLINICIANS,
        "managingOrganization": frozenset({"Organization"}),
        "contact.organization": frozenset({"Organization"}),
        "link.other": frozenset(["Patient", "RelatedPerson"]),
    },
    "ImagingStudy": {
        "subject": frozenset(["Patient", "Device", "Group"]),
        "encounter": frozenset({"Encounter"}),
        "basedOn": frozenset(["CarePlan", "ServiceRequest", "Appointment", "AppointmentResponse", "Task"]),
        "referrer": frozenset(["Practitioner", "PractitionerRole"]),
        "interpreter": frozenset(["Practitioner", "PractitionerRole"]),
        "endpoint": frozenset({"Endpoint"}),
        "procedureReference": frozenset({"Procedure"}),
        "location": frozenset({"Location"}),
        "series.endpoint": frozenset({"Endpoint"}),
        "series.specimen": frozenset({"Specimen"}),
    },
}

_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_CONDITIONAL = re.compile(r"^([A-Z][A-Za-z]+)\?")


def binding_issues(resource: dict[str, Any], kind: str, at: str) -> Iterator[Issue]:
    """Yield FHIR-114 for every code outside the value set its element is bound to."""
    for path, codes in BINDINGS.get(kind, {}).items():
        for where, value in _values(resource, path.split("."), at):
            if isinstance(value, str) and value not in codes:
                yield Issue(code="FHIR-114", text="code is not in the required value set", where=where)


def target_issues(resource: dict[str, Any], kind: str, at: str, contained: dict[str, str]) -> Iterator[Issue]:
    """Yield FHIR-110 for every reference to a type that its element may not refer to.

    Args:
        resource: The resource.
        kind: Its type.
        at: Its FHIRPath.
        contained: Types of the contained resources by id.
    """
    for path, types in TARGETS.get(kind, {}).items():
        for where, value in _values(resource, path.split("."), at):
            target = _target_type(value, contained)
            if target and target not in types:
                text = f"may only refer to {' or '.join(sorted(types))}"
                yield Issue(code="FHIR-110", text=text, where=where, kind="value")


def _target_type(value: Any, contained: dict[str, str]) -> str:
    if not isinstance(value, dict):
        return ""
    reference = value.get("reference")
    if isinstance(reference, str):
        if reference.startswith("#"):
            return contained.get(reference[1:], "")
        found = _LITERAL.search(reference) or _CONDITIONAL.match(reference)
        if found is not None:
            return found[1]
    stated = value.get("type")
    return stated if isinstance(stated, str) else ""


def _values(here: Any, names: list[str], at: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(here, dict) or names[0] not in here:
        return
    inside, where = here[names[0]], f"{at}.{names[0]}"
    items = (
        [(f"{where}[{i}]", item) for i, item in enumerate(inside)] if isinstance(inside, list) else [(where, inside)]
    )
    for place, item in items:
        if len(names) == 1:
            yield place, item
        else:
            yield from _values(item, names[1:], place)
