"""Whether a resource is FHIR: fhir.resources' R4B models, and beside them what those let through.

The models accept empty arrays, objects and strings, nulls, two contained resources of one id, JSON text where an object
must stand and `"yes"` for a boolean, and they fall over unknown contained types; so the shape is looked at before and
after them. Models are imported when first needed (150 ms for ServiceRequest); `preload` does it ahead of the first
request.
Source: FHIR R4 json.html, datatypes.html; spec sheet fhir.md section 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from engine.fhir.binding import BINDINGS, binding_issues, target_issues
from engine.fhir.errors import Issue

_MOST_ISSUES = 50
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_PRELOADED = ("ServiceRequest", "Patient", "Practitioner", "PractitionerRole", "Organization", "Location")

_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "missing": ("required", "element is required"),
    "model_field_validation.missing": ("required", "element is required"),
    "extra_forbidden": ("structure", "unknown element"),
    "list_type": ("structure", "must be an array"),
    "json_invalid": ("structure", "must be an object"),
    "model_validation_format": ("structure", "must be an object of its type"),
    "string_type": ("value", "must be a string"),
    "bool_parsing": ("value", "must be true or false"),
    "bool_type": ("value", "must be true or false"),
}
"""pydantic's error type → (IssueType, words); theirs may quote the value."""


def preload() -> None:
    """Import the models that an order needs. Blocks for about 300 ms: call it off the event loop."""
    for kind in _PRELOADED:
        _model(kind)


def find_issues(resource: dict[str, Any], kind: str) -> list[Issue]:
    """Return what is wrong with a resource that should be of type `kind`; empty when it is valid.

    Codes: FHIR-110 for structure, cardinality, type and reference target, FHIR-114 for required bindings.
    """
    if resource.get("resourceType") != kind:
        return [Issue(code="FHIR-110", text=f"must be a {kind}", where="resourceType", kind="structure")]
    issues = list(_shape_issues(resource, kind))
    if not any(issue.kind == "structure" and issue.where.endswith("resourceType") for issue in issues):
        issues += _model_issues(resource, kind, {issue.where for issue in issues})
    contained = _contained(resource)
    types = {str(inner.get("id", "")): str(inner.get("resourceType")) for inner in contained}
    issues += binding_issues(resource, kind, kind)
    issues += target_issues(resource, kind, kind, types)
    for i, inner in enumerate(contained):
        at, of = f"{kind}.contained[{i}]", str(inner.get("resourceType"))
        if of in BINDINGS:
            issues += binding_issues(inner, of, at)
            issues += target_issues(inner, of, at, types)
    return issues[:_MOST_ISSUES]


def _contained(resource: dict[str, Any]) -> list[dict[str, Any]]:
    inside = resource.get("contained")
    return [inner for inner in inside if isinstance(inner, dict)] if isinstance(inside, list) else []


@cache
def _known_types() -> frozenset[str]:
    import fhir.resources.R4B.fhirtypes  # noqa: F401, PLC0415  # fills the table
    from fhir_core.constraints import FHIR_TYPES_MAPS  # noqa: PLC0415  # 60 ms, only when a resource comes

    return frozenset(name.removeprefix("R4.").removesuffix("Type") for name in FHIR_TYPES_MAPS)


@cache
def _model(kind: str) -> Any:
    """Return the model of a resource type; `Any`, because fhir.resources makes them at run time."""
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # 100 MiB if all of it is imported

    return get_fhir_model_class(kind)


def _shape_issues(resource: dict[str, Any], kind: str) -> Iterator[Issue]:
    """Yield what JSON allows and FHIR does not, wherever it stands."""
    waiting: list[tuple[str, Any]] = [(kind, resource)]
    while waiting:
        at, here = waiting.pop()
        if isinstance(here, dict):
            if not here:
                yield _structure(at, "an object must not be empty")
            for name, value in here.items():
                where = f"{at}.{_spoken(name)}"
                if not _NAME.fullmatch(name):
                    yield _structure(where, "unknown element")
                elif name == "resourceType" and (not isinstance(value, str) or value not in _known_types()):
                    yield _structure(where, "unknown resource type")
                elif value is None:
                    yield _structure(where, "must not be null")
                elif value == "":
                    yield Issue(code="FHIR-110", text="must not be empty; leave it out", where=where, kind="value")
                elif name == "contained" and isinstance(value, list):
                    yield from _contained_issues(where, value)
                if isinstance(value, dict | list) or (type(value) is str and not value.isprintable()):
                    waiting.append((where, value))
        elif isinstance(here, list):
            if not here:
                yield _structure(at, "an array must not be empty")
            waiting.extend((f"{at}[{i}]", item) for i, item in enumerate(here) if isinstance(item, dict | list | str))
        elif _CONTROL.search(here):
            yield Issue(code="FHIR-110", text="has a control character", where=at, kind="value")


def _contained_issues(at: str, contained: list[Any]) -> Iterator[Issue]:
    ids: set[str] = set()
    for i, inner in enumerate(contained):
        if not isinstance(inner, dict):
            continue
        if "resourceType" not in inner:
            yield _structure(f"{at}[{i}].resourceType", "unknown resource type")
        named = str(inner.get("id"))
        if named in ids:
            yield _structure(f"{at}[{i}].id", "another contained resource has this id")
        ids.add(named)


def _structure(where: str, text: str) -> Issue:
    return Issue(code="FHIR-110", text=text, where=where, kind="structure")


def _spoken(name: str) -> str:
    """Return an element name as it may be repeated; what is no name might be anything."""
    return name if _NAME.fullmatch(name) else "?"


def _model_issues(resource: dict[str, Any], kind: str, told: set[str]) -> list[Issue]:
    try:
        read = _model(kind).model_validate(resource)
    except ValidationError as error:
        found = [_of_pydantic(kind, one["loc"], one["type"], one["msg"]) for one in error.errors(include_url=False)]
    else:
        found = list(_loose_types(read, resource, kind))
    unique = {(issue.where, issue.text): issue for issue in found if issue.where not in told}
    return list(unique.values())


def _of_pydantic(kind: str, loc: tuple[str | int, ...], error_type: str, message: str) -> Issue:
    where = kind
    for step in loc:
        if isinstance(step, int):
            where += f"[{step}]"
        elif step != "root":
            where += f".{_spoken(step.removesuffix('_fhir'))}"
    issue_type, text = _TEXTS.get(error_type, ("value", "not a valid value"))
    if error_type == "value_error":
        if "Any of one field value" in message:
            issue_type, text = "invariant", "only one of its types may be given, or one is required"
        elif "DateTime" in message or "Instant" in message:
            text = "not a valid date and time: a time needs seconds and an offset"
        elif "Date" in message:
            text = "not a valid date"
    return Issue(code="FHIR-110", text=text, where=where, kind=issue_type)


def _loose_types(read: BaseModel, said: dict[str, Any], at: str) -> Iterator[Issue]:
    """Yield where the model was given text and made an object, a boolean or a number of it."""
    fields = read.__dict__
    for name, value in said.items():
        made = fields.get(name)
        if type(made) is str:
            continue
        if made is None:
            made = fields.get(f"{name}_fhir")
        where = f"{at}.{name}"
        if isinstance(made, list) and isinstance(value, list):
            for i, (one, given) in enumerate(zip(made, value, strict=False)):
                yield from _loose_type(one, given, f"{where}[{i}]")
        else:
            yield from _loose_type(made, value, where)


def _loose_type(made: Any, given: Any, where: str) -> Iterator[Issue]:
    if isinstance(made, BaseModel):
        if isinstance(given, dict):
            yield from _loose_types(made, given, where)
        else:
            yield _structure(where, "must be an object")
    elif isinstance(made, bool) and not isinstance(given, bool):
        yield Issue(code="FHIR-110", text="must be true or false", where=where, kind="value")
    elif type(given) is str and isinstance(made, int | float):
        yield Issue(code="FHIR-110", text="must be a number", where=where, kind="value")
