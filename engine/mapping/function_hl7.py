"""Functions that read HL7 data types, and those that write them.

Source: HL7 v2.5.1 chapter 2.A (data types).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from engine.hl7 import identifier as hl7_identifier
from engine.hl7 import name as hl7_name
from engine.hl7 import timestamp as hl7_timestamp
from engine.hl7.delimiter import DEFAULT_DELIMITERS, Delimiters
from engine.hl7.delimiter import NULL as RAW_NULL
from engine.hl7.errors import InvalidValue
from engine.mapping.fault import LeftOut, Refused
from engine.mapping.function import Function, Parameter
from engine.mapping.scope import Scope
from engine.mapping.value import Raw, Value, has_value
from engine.records.explicit import NULL
from engine.records.fact import IdentifierFact

_HL7 = frozenset({"hl7v2"})
_TIMING_MINUTES = {"S": 1 / 60, "M": 1.0, "H": 60.0, "D": 1440.0, "W": 10080.0, "L": 43200.0}
_SOON_MINUTES = 120
_PROSE = frozenset({"", "TX", "FT", "ST"})
_CODED = frozenset({"CE", "CWE", "CNE", "CF"})
_ORIGINAL_TEXT = 9
_ED_DATA = 5
_TYPE_AT = {"ED": 2, "RP": 3}
_NOTED = frozenset({"PID", "ORC", "OBR", "OBX"})
_LINE_BREAKS = re.compile(r"\r\n?")


def _field(value: Value) -> Raw:
    """Return what a function on a data type reads; text of another function is a field without parts."""
    return value if isinstance(value, Raw) else Raw(DEFAULT_DELIMITERS.escape(str(value)), DEFAULT_DELIMITERS)


def text(_: Scope, value: Value) -> Value:
    """The whole field as text, separators included: for prose in which senders leave `^` and `&` unescaped."""
    field = _field(value)
    return field.delimiters.unescape(field.text).strip()


def observation(_: Scope, value: Value, value_type: Value = None) -> Value:
    """OBX-5 as text, by OBX-2: prose with its separators, a line for each repetition; of a code its text.

    Of ED the data, of RP the pointer; of other types the parts with spaces between.
    """
    field = _field(value)
    delimiters, kind = field.delimiters, str(value_type or "").upper()
    if kind == "ED":
        return delimiters.unescape(_after(field.text, delimiters.component_separator, _ED_DATA - 1))
    repetitions = delimiters.repetitions(field.text)
    if kind == "RP":
        return delimiters.unescape(delimiters.components(repetitions[0])[0]).strip()
    if kind in _CODED:
        return "; ".join(_code_text(one, delimiters) for one in repetitions)
    if kind in _PROSE:
        return "\n".join(_LINE_BREAKS.sub("\n", delimiters.unescape(one)) for one in repetitions).strip()
    parts = ([delimiters.unescape(part).strip() for part in delimiters.components(one)] for one in repetitions)
    return ", ".join(" ".join(part for part in some if part) for some in parts)


def _after(text: str, separator: str, count: int) -> str:
    """Return what follows the given number of separators; all of it when there is none at all."""
    pieces = text.split(separator, count)
    return text if len(pieces) == 1 else pieces[count] if len(pieces) > count else ""


def _code_text(raw: str, delimiters: Delimiters) -> str:
    parts = [delimiters.unescape(part).strip() for part in delimiters.components(raw)]
    original = parts[_ORIGINAL_TEXT - 1] if len(parts) >= _ORIGINAL_TEXT else ""
    return original or (parts[1] if len(parts) > 1 else "") or parts[0]


def data_type(_: Scope, value: Value, value_type: Value = None) -> Value:
    """Type and subtype of a document in OBX-5, parted by `/`: of ED components 2 and 3, of RP 3 and 4; else nothing."""
    field, first = _field(value), _TYPE_AT.get(str(value_type or "").upper())
    if first is None:
        return None
    parts = field.delimiters.components(field.text)[first - 1 : first + 1]
    return "/".join(text for part in parts if (text := field.delimiters.unescape(part).strip()))


def occurrence(scope: Scope, value: str) -> Value:
    """Which one of its name the first segment of that name is, from 1: `'OBX' | occurrence` inside `each: OBX`."""
    found = scope.segments.get(value)
    return str(found[0].occurrence) if found else None


def notes(scope: Scope, value: str) -> Value:
    """The text of the NTE that belong to PID, ORC, OBR or OBX, line by line: `'OBR' | notes`.

    An NTE belongs to the nearest of these in front of it.
    """
    found: list[str] = []
    of = ""
    for segment in (*scope.before, *scope.members):
        name = segment.name
        if name in _NOTED:
            of = name
        elif name == "NTE" and of == value:
            raw = segment.field(3) or ""
            found.extend(_LINE_BREAKS.sub("\n", text) for text in _prose(raw, scope.delimiters))
    return "\n".join(found).strip() or None


def _prose(raw: str, delimiters: Delimiters) -> list[str]:
    return [] if raw == RAW_NULL else [delimiters.unescape(one) for one in delimiters.repetitions(raw)]


def component(_: Scope, value: Value, number: Value) -> Value:
    """One component of a field (of a component: one subcomponent), so that several parts come from the same field."""
    field = _field(value)
    delimiters, wanted = field.delimiters, int(number)
    if field.is_component:
        piece = delimiters.subcomponent(field.text, wanted)
    else:
        piece = delimiters.component(delimiters.repetitions(field.text)[0], wanted)
        piece = None if piece is None else delimiters.subcomponent(piece, 1)
    return None if piece is None else NULL if piece == RAW_NULL else delimiters.unescape(piece).strip()


def timestamp(_: Scope, value: Value) -> Value:
    """TS, DTM or DT as DICOM DT, in the sender's precision, offset kept; unknown dates (`0000`) become empty.

    Refuses what is no date and time (MAP-203).
    """
    field = _field(value)
    try:
        return hl7_timestamp.to_dicom(field.text, field.delimiters)
    except InvalidValue as cause:
        raise Refused.invalid("date") from cause


def timestamp_or_nothing(scope: Scope, value: Value) -> Value:
    """As `timestamp`; what is no date and time is left out, and the sender is told: for times nothing depends on."""
    try:
        return timestamp(scope, value)
    except Refused as cause:
        raise LeftOut("{path} is not a valid date; it is left out") from cause


def date(_: Scope, value: Value) -> Value:
    """The date of TS, DTM or DT as `YYYY[MM[DD]]`; its time is not looked at. Refuses what is none (MAP-203)."""
    field = _field(value)
    text = field.text[:8] if field.text[:8].isdecimal() else field.text
    try:
        return hl7_timestamp.to_dicom_date(text, field.delimiters)
    except InvalidValue as cause:
        raise Refused.invalid("date") from cause


def person_name(_: Scope, value: Value) -> Value:
    """XPN, all repetitions, as DICOM PN: the legal name; ideographic and phonetic forms as its further groups."""
    field = _field(value)
    return hl7_name.person_name(field.text, field.delimiters)


def physician(_: Scope, value: Value) -> Value:
    """XCN, or component 1 of NDL, as DICOM PN: the first that has a name."""
    field = _field(value)
    if field.is_component:
        return hl7_name.practitioner_name(field.text, field.delimiters)
    return hl7_name.provider_name(field.text, field.delimiters)


def identifiers(scope: Scope, value: Value) -> Value:
    """CX, all repetitions, as identifiers with the issuer's key; without an authority the default issuer."""
    field = _field(value)
    context = scope.context
    return tuple(
        IdentifierFact(
            value=one.value,
            issuer=context.issuers.key(one.namespace, one.universal_id) or context.default_issuer,
            type_code=one.type_code,
        )
        for one in hl7_identifier.patient_identifiers(field.text, field.delimiters)
    )


def issuer(scope: Scope, value: Value) -> Value:
    """Key of the authority of an EI (components 2 to 4, of a component its subcomponents); else the default issuer."""
    field = _field(value)
    text, delimiters = field.text, field.delimiters
    if field.is_component:
        text = text.replace(delimiters.subcomponent_separator, delimiters.component_separator)
    entity = hl7_identifier.entity_identifier(text, delimiters)
    context = scope.context
    if entity is None:
        return context.default_issuer
    return context.issuers.key(entity.namespace, entity.universal_id) or context.default_issuer


def cx_issuer(scope: Scope, value: Value) -> Value:
    """Key of the authority of a CX (component 4); the default issuer when it names none."""
    found = identifiers(scope, value)
    return found[0].issuer if found else scope.context.default_issuer


def urgency(_: Scope, value: str) -> Value:
    """A priority code of TQ.6 or TQ1-9 with timing-critical forms made plain: `T2H` within two hours, else `T`.

    TS30, TM30, TH4, TD2, TW1, TL1 mean timing critical within that many seconds, minutes, hours, days, weeks, months.
    Source: HL7 v2.5.1 chapter 4.5.1.9, table 0485.
    """
    code = value.strip().upper()
    unit, number = code[1:2], code[2:]
    if code[:1] != "T" or unit not in _TIMING_MINUTES or not number.isdecimal():
        return code
    return "T2H" if int(number) * _TIMING_MINUTES[unit] <= _SOON_MINUTES else "T"


def xpn(_: Scope, value: str) -> Value:
    """DICOM PN as XPN, a repetition for each of its groups."""
    return Raw(hl7_name.to_xpn(value, DEFAULT_DELIMITERS), DEFAULT_DELIMITERS)


def xcn(_: Scope, value: str) -> Value:
    """DICOM PN as XCN without an identifier."""
    return Raw(hl7_name.to_xcn(value, DEFAULT_DELIMITERS), DEFAULT_DELIMITERS)


def ndl(_: Scope, value: str) -> Value:
    """DICOM PN as NDL: the name in the subcomponents of its first component."""
    delimiters = DEFAULT_DELIMITERS
    written = hl7_name.to_xcn(value, delimiters)
    return Raw(written.replace(delimiters.component_separator, delimiters.subcomponent_separator), delimiters)


def cx(scope: Scope, value: Value) -> Value:
    """Identifiers of an event as CX, a repetition each."""
    items: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    written = [
        hl7_identifier.to_cx(_identifier(scope, str(one.get("value", "")), one), DEFAULT_DELIMITERS)
        for one in items
        if isinstance(one, dict) and one.get("value")
    ]
    return Raw(DEFAULT_DELIMITERS.repetition_separator.join(written), DEFAULT_DELIMITERS)


def _identifier(scope: Scope, value: str, said: dict[str, Any]) -> hl7_identifier.Identifier:
    namespace, oid, kind = scope.context.issuers.hd(str(said.get("issuer") or ""))
    return hl7_identifier.Identifier(value, namespace, oid, kind, str(said.get("type_code") or ""))


def ei(scope: Scope, value: str, issuer_key: Value = None) -> Value:
    """A number with its issuer as EI."""
    key = issuer_key if has_value(issuer_key) else ""
    written = hl7_identifier.to_ei(_identifier(scope, value, {"issuer": key}), DEFAULT_DELIMITERS)
    return Raw(written, DEFAULT_DELIMITERS)


def hl7_time(_: Scope, value: str, *otherwise: Value) -> Value:
    """DICOM DT, DA, or a FHIR date and time as HL7 TS; the argument for what is none, without one it is refused."""
    try:
        return hl7_timestamp.from_dicom(hl7_timestamp.to_dicom(value, DEFAULT_DELIMITERS))
    except InvalidValue as cause:
        if otherwise:
            return otherwise[0]
        raise Refused.invalid("date") from cause


HL7_FUNCTIONS = (
    Function(name="text", run=text, reads="raw", sources=_HL7),
    Function(
        name="observation",
        run=observation,
        reads="raw",
        parameters=(Parameter(name="value_type", is_optional=True),),
        sources=_HL7,
    ),
    Function(
        name="data_type",
        run=data_type,
        reads="raw",
        parameters=(Parameter(name="value_type", is_optional=True),),
        sources=_HL7,
    ),
    Function(name="notes", run=notes, sources=_HL7),
    Function(name="occurrence", run=occurrence, sources=_HL7),
    Function(name="component", run=component, reads="raw", parameters=(Parameter(name="number"),), sources=_HL7),
    Function(name="timestamp", run=timestamp, reads="raw", sources=_HL7),
    Function(name="timestamp_or_nothing", run=timestamp_or_nothing, reads="raw", sources=_HL7),
    Function(name="date", run=date, reads="raw", sources=_HL7),
    Function(name="person_name", run=person_name, reads="raw", sources=_HL7),
    Function(name="physician", run=physician, reads="raw", sources=_HL7),
    Function(name="identifiers", run=identifiers, reads="raw", sources=_HL7),
    Function(name="issuer", run=issuer, reads="raw", sources=_HL7),
    Function(name="cx_issuer", run=cx_issuer, reads="raw", sources=_HL7),
    Function(name="urgency", run=urgency),
    Function(name="xpn", run=xpn),
    Function(name="xcn", run=xcn),
    Function(name="ndl", run=ndl),
    Function(name="cx", run=cx, reads="raw"),
    Function(name="ei", run=ei, parameters=(Parameter(name="issuer", is_optional=True),)),
    Function(name="hl7_timestamp", run=hl7_time, parameters=(Parameter(name="otherwise", is_optional=True),)),
)
