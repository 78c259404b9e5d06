"""Functions that read FHIR data types out of plain data.

Source: FHIR R4 datatypes: HumanName, Identifier, Reference, dateTime.
"""

from __future__ import annotations

from typing import Any

from engine.hl7 import timestamp as hl7_timestamp
from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.errors import InvalidValue
from engine.mapping.fault import Refused
from engine.mapping.function import Function
from engine.mapping.scope import Scope
from engine.mapping.value import Value
from engine.records.fact import IdentifierFact

_DATA = frozenset({"fhir", "event"})
_PREFERRED_USES = ("official", "usual")
_PN_CANNOT = str.maketrans({"^": " ", "=": " ", "\\": "/", "\r": " ", "\n": " ", "\t": " "})


def timestamp(_: Scope, value: str) -> Value:
    """A FHIR date, dateTime or instant as DICOM DT, in its precision, offset kept. Refuses others (MAP-203)."""
    try:
        return hl7_timestamp.to_dicom(value, DEFAULT_DELIMITERS)
    except InvalidValue as cause:
        raise Refused.invalid("date") from cause


def date(_: Scope, value: str) -> Value:
    """The date of a FHIR date, dateTime or instant as `YYYY[MM[DD]]`. Refuses others (MAP-203)."""
    try:
        return hl7_timestamp.to_dicom_date(value, DEFAULT_DELIMITERS)
    except InvalidValue as cause:
        raise Refused.invalid("date") from cause


def person_name(_: Scope, value: Value) -> Value:
    """HumanName as DICOM PN: the official one, else the usual, else the first."""
    names = [one for one in _list(value) if isinstance(one, dict)]
    for use in _PREFERRED_USES:
        for one in names:
            if one.get("use") == use:
                return _pn(one)
    return _pn(names[0]) if names else ""


def physician(_: Scope, value: Value) -> Value:
    """A Practitioner by its name, or a Reference by its display, as DICOM PN."""
    for one in _list(value):
        if isinstance(one, str):
            return _plain(one)
        if isinstance(one, dict):
            if one.get("name"):
                return person_name(_, one["name"])
            if isinstance(one.get("display"), str):
                return _plain(one["display"])
    return ""


def identifiers(scope: Scope, value: Value) -> Value:
    """Identifiers with the issuer's key; without a system or assigner the default issuer."""
    found = []
    for one in _list(value):
        number = one.get("value") if isinstance(one, dict) else None
        if isinstance(number, str) and number.strip():
            kind = _first_code(one.get("type"))
            found.append(IdentifierFact(value=number.strip(), issuer=_issuer_of(scope, one), type_code=kind))
    return tuple(found)


def issuer(scope: Scope, value: Value) -> Value:
    """Key of the system (or assigner) of the first identifier; the default issuer when it names none."""
    for one in _list(value):
        if isinstance(one, dict) and one.get("value"):
            return _issuer_of(scope, one)
    return ""


def _issuer_of(scope: Scope, identifier: dict[str, Any]) -> str:
    system = identifier.get("system")
    assigner = identifier.get("assigner")
    namespace = assigner.get("display") if isinstance(assigner, dict) else None
    key = scope.context.issuers.key(_text(namespace), _text(system))
    return key or scope.context.default_issuer


def _first_code(concept: Any) -> str:
    for coding in _list(concept.get("coding")) if isinstance(concept, dict) else ():
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            return str(coding["code"])
    return ""


def _pn(name: dict[str, Any]) -> str:
    given = [_plain(one) for one in _list(name.get("given")) if isinstance(one, str)]
    prefix = " ".join(_plain(one) for one in _list(name.get("prefix")) if isinstance(one, str))
    suffix = " ".join(_plain(one) for one in _list(name.get("suffix")) if isinstance(one, str))
    family = _plain(_text(name.get("family")))
    if not family and not given:
        return _plain(_text(name.get("text")))
    middle = " ".join(given[1:])
    return f"{family}^{given[0] if given else ''}^{middle}^{prefix}^{suffix}".rstrip("^")


def _plain(text: str) -> str:
    return " ".join(text.translate(_PN_CANNOT).split())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


FHIR_FUNCTIONS = (
    Function(name="timestamp", run=timestamp, sources=_DATA),
    Function(name="date", run=date, sources=_DATA),
    Function(name="person_name", run=person_name, reads="raw", sources=_DATA),
    Function(name="physician", run=physician, reads="raw", sources=_DATA),
    Function(name="identifiers", run=identifiers, reads="raw", sources=_DATA),
    Function(name="issuer", run=issuer, reads="raw", sources=_DATA),
)
