"""What is served: one table that makes the router, the checks of searches and the CapabilityStatement.

Source: FHIR R4 CapabilityStatement, http.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

FHIR_VERSION: Final = "4.0.1"

ResourceType = Literal["Patient", "ServiceRequest", "ImagingStudy"]
Interaction = Literal["read", "vread", "create", "search-type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """A search parameter by its R4 name; `aliases` are names that other releases and guides have for it."""

    name: str
    type: Literal["token", "reference"]
    text: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A resource type and what may be done with it."""

    type: ResourceType
    interactions: tuple[Interaction, ...]
    search: tuple[SearchParameter, ...]
    conditional_create: bool = False
    text: str = ""

    def parameter(self, name: str) -> SearchParameter | None:
        """Return a search parameter by its name or an alias; None when it is not served."""
        return next((one for one in self.search if name == one.name or name in one.aliases), None)


_ID = SearchParameter(name="_id", type="token", text="Logical id")
_PATIENT = SearchParameter(name="patient", type="reference", text="Patient/[id]", aliases=("subject",))
_STATUS = SearchParameter(name="status", type="token", text="Code of the status")


def _identifier(text: str) -> SearchParameter:
    return SearchParameter(name="identifier", type="token", text=text)


SERVED: Final[tuple[Served, ...]] = (
    Served(
        type="Patient",
        interactions=("read", "vread", "search-type"),
        search=(_ID, _identifier("Any identifier of the patient, also of a merged one")),
        text="Maintained by ADT messages.",
    ),
    Served(
        type="ServiceRequest",
        interactions=("read", "vread", "create", "search-type"),
        search=(
            _ID,
            _identifier("Accession, placer or filler number, requested procedure id, Study Instance UID"),
            _PATIENT,
            _STATUS,
        ),
        conditional_create=True,
        text="Imaging orders. Reads give every order, whichever way it came.",
    ),
    Served(
        type="ImagingStudy",
        interactions=("read", "vread", "search-type"),
        search=(
            _ID,
            _identifier("Study Instance UID, accession number"),
            _PATIENT,
            _STATUS,
            SearchParameter(name="basedon", type="reference", text="ServiceRequest/[id]", aliases=("based-on",)),
        ),
        text="Derived from the stored images. A study that a person must decide about first is not shown.",
    ),
)


def served(kind: str) -> Served | None:
    """Return what may be done with a resource type; None when it is not served."""
    return next((one for one in SERVED if one.type == kind), None)


def capability_statement(*, name: str, software_version: str, date: str, base_url: str) -> dict[str, Any]:
    """Return the CapabilityStatement of this server.

    Args:
        name: The site's.
        software_version: Of the engine.
        date: When this was last true of another release [FHIR dateTime].
        base_url: Our address, without a slash at its end.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Isthmus", "version": software_version},
        "implementation": {"description": f"Isthmus at {name}", "url": base_url},
        "fhirVersion": FHIR_VERSION,
        "format": ["json", "application/fhir+json"],
        "rest": [{"mode": "server", "resource": [_resource(one) for one in SERVED]}],
    }


def _resource(one: Served) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": one.type,
        "documentation": f"{one.text} Of earlier versions only the present one can be read.",
        "interaction": [{"code": code} for code in one.interactions],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": _parameters(one.search),
    }
    if "create" in one.interactions:
        made["conditionalCreate"] = one.conditional_create
        made["referencePolicy"] = ["literal", "logical", "local"]
    return made


def _parameters(search: Sequence[SearchParameter]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": one.type, "documentation": one.text}
        for one in search
        for name in (one.name, *one.aliases)
    ]
