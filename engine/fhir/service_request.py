"""When a ServiceRequest is an order that we take, and for whom it is.

Source: spec sheet fhir.md section 8; FHIR R4 ServiceRequest, extensibility.html for modifier extensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from engine.fhir.errors import Issue
from engine.fhir.system import DCM, IMAGING, SNOMED
from engine.fhir.token import Token

STATUSES: Final = ("draft", "active", "on-hold", "revoked")
INTENTS: Final = ("order", "original-order", "instance-order", "filler-order")
_PATIENT = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")


def order_issues(resource: dict[str, Any]) -> Iterator[Issue]:
    """Yield why a valid ServiceRequest is not an order that we take (FHIR-111, FHIR-113: 422)."""
    if isinstance(resource.get("status"), str) and resource["status"] not in STATUSES:
        yield _rule("status", f"must be {' or '.join(STATUSES)} when an order is sent")
    if isinstance(resource.get("intent"), str) and resource["intent"] not in INTENTS:
        yield _rule("intent", f"must be {' or '.join(INTENTS)}")
    subject = resource.get("subject")
    if subject is None or (isinstance(subject, dict) and not {"reference", "identifier"} & subject.keys()):
        yield _required("subject", "an order needs a patient: a reference or an identifier")
    if not resource.get("code") and not _is_imaging(resource.get("category")):
        yield _required("code", "an order needs a code, or a category that says imaging")
    if resource.get("doNotPerform") is True:
        yield _rule("doNotPerform", "a request not to perform something is no order")
    for name in ("modifierExtension", "implicitRules"):
        if name in resource:
            yield _rule(name, "changes the meaning in a way that is not known here")


def _rule(element: str, text: str) -> Issue:
    return Issue(code="FHIR-111", text=text, where=f"ServiceRequest.{element}")


def _required(element: str, text: str) -> Issue:
    return Issue(code="FHIR-113", text=text, where=f"ServiceRequest.{element}")


def _is_imaging(categories: Any) -> bool:
    codings = [
        coding
        for category in (categories if isinstance(categories, list) else ())
        if isinstance(category, dict) and isinstance(category.get("coding"), list)
        for coding in category["coding"]
        if isinstance(coding, dict)
    ]
    return any(
        coding.get("system") == DCM or (coding.get("system"), coding.get("code")) == (SNOMED, IMAGING)
        for coding in codings
    )


@dataclass(frozen=True, slots=True)
class ContainedPatient:
    """The Patient stands inside the order."""

    resource: dict[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class PatientId:
    """The Patient is one of ours, by its logical id."""

    id: str


@dataclass(frozen=True, slots=True)
class PatientNumber:
    """The Patient is one of ours, by a business identifier."""

    token: Token


Subject = ContainedPatient | PatientId | PatientNumber


def subject_of(resource: dict[str, Any], base_url: str) -> Subject | None:
    """Return for whom an order is; None when its subject is not a patient that we could know.

    Args:
        resource: A ServiceRequest that `order_issues` has nothing to say about.
        base_url: Our own, without a slash at its end; other servers' patients are not known here.
    """
    subject = resource["subject"]
    reference = subject.get("reference")
    if not isinstance(reference, str):
        return _by_identifier(subject.get("identifier"))
    if reference.startswith("#"):
        for i, inner in enumerate(resource.get("contained", ())):
            if inner.get("id") == reference[1:] and inner.get("resourceType") == "Patient":
                return ContainedPatient(inner, f"ServiceRequest.contained[{i}]")
        return None
    local = reference.removeprefix(f"{base_url}/")
    found = _PATIENT.fullmatch(local)
    if found is not None:
        return PatientId(found[1])
    if local.startswith("Patient?"):
        conditions = parse_qsl(local.removeprefix("Patient?"))
        if [name for name, _ in conditions] == ["identifier"]:
            return PatientNumber(Token.parse(conditions[0][1]))
    return None


def _by_identifier(identifier: Any) -> PatientNumber | None:
    if not isinstance(identifier, dict) or not identifier.get("value"):
        return None
    return PatientNumber(Token(system=identifier.get("system"), value=identifier["value"]))
