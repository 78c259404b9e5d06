"""What a mapping `from: fhir` reads when an order comes as several resources.

The source is the ServiceRequest as plain data with one key more: `patient`, the Patient that its subject refers to.
(A ServiceRequest has no element of that name. In answers it is called by the element that refers to it: `subject`.)
Source: FHIR R4 ServiceRequest.subject, DomainResource.contained, Bundle.
"""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]


def order_view(service_request: Resource, patient: Resource | None = None) -> Resource:
    """Return the source of an order: the request with its patient.

    Args:
        service_request: As received; it is not changed.
        patient: The Patient that the caller resolved; None takes the contained one that the subject refers to.
    """
    found = patient if patient is not None else _contained(service_request)
    return service_request if found is None else {**service_request, "patient": found}


def source_of(resource: Resource) -> Resource:
    """Return the source of a resource or of a Bundle of a ServiceRequest and its Patient."""
    if resource.get("resourceType") == "Bundle":
        resources = [entry.get("resource") for entry in resource.get("entry", []) if isinstance(entry, dict)]
        inside = [one for one in resources if isinstance(one, dict)]
        request = next((one for one in inside if one.get("resourceType") == "ServiceRequest"), None)
        if request is not None:
            return order_view(request, next((one for one in inside if one.get("resourceType") == "Patient"), None))
    if resource.get("resourceType") == "ServiceRequest":
        return order_view(resource)
    return resource


def _contained(resource: Resource) -> Resource | None:
    subject = resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    contained = resource.get("contained")
    if not isinstance(reference, str) or not reference.startswith("#") or not isinstance(contained, list):
        return None
    for one in contained:
        if isinstance(one, dict) and one.get("id") == reference[1:] and one.get("resourceType") == "Patient":
            return one
    return None
