"""Every function of the language, on values and on nothing."""

from __future__ import annotations

from typing import Any

import pytest

from engine.hl7.message import Message
from engine.mapping.compile import Environment, SourceKind, compile_expression
from engine.mapping.context import Context
from engine.mapping.fault import Refused
from engine.mapping.place import Place
from engine.mapping.registry import FUNCTIONS
from engine.mapping.scope import Scope
from engine.mapping.table import Table
from engine.mapping.value import Raw
from engine.records.explicit import NULL
from engine.records.fact import IdentifierFact
from engine.records.issuer import Issuer, IssuerTable

TABLES = {
    "closed": Table("closed", {"a": "A", "none": ""}),
    "open": Table("open", {"a": "A"}, "OTHER"),
}
CONTEXT = Context(
    issuers=IssuerTable((Issuer(key="MAIN", namespaces=("HOSP",), oid="1.2.3", uri="http://hospital.test/mrn"),)),
    default_issuer="DEFAULT",
)


def run(text: str, fields: str = "", *, source: dict[str, Any] | None = None, kind: SourceKind = "hl7v2") -> Any:
    environment = Environment(source="event" if source is not None and kind == "hl7v2" else kind, tables=TABLES)
    compiled = compile_expression(text, environment, Place("test.yaml"))
    assert [flaw for flaw in environment.flaws if flaw.severity == "error"] == []
    message = Message.parse(f"MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.5.1\rZZZ|{fields}\r".encode())
    return compiled.read(Scope.of(message if source is None else source, CONTEXT))


@pytest.mark.parametrize(
    ("expression", "fields", "value"),
    [
        ("ZZZ-1 | upper", "abc", "ABC"),
        ("ZZZ-1 | lower", "ABC", "abc"),
        ("' x ' | trim", "", "x"),
        ("ZZZ-1 | default('D')", "", "D"),
        ("ZZZ-9 | default('D')", "", "D"),
        ("ZZZ-1 | default('D')", "V", "V"),
        ("ZZZ-1 | default('D')", '""', NULL),
        ("ZZZ-1 | default(ZZZ-2)", "|two", "two"),
        ("ZZZ-1 | upper", '""', NULL),
        ("ZZZ-1 | upper", "", ""),
        ("ZZZ-9 | upper", "", None),
        ("ZZZ-1 | concat('-', ZZZ-2, ZZZ-3)", "a||c", "a-c"),
        ("ZZZ-1[*] | join('+')", "a~b~~c", "a+b+c"),
        ("ZZZ-1[*] | join", "a~b", "a b"),
        ("ZZZ-1[*] | upper | join('')", "a~b", "AB"),
        ("[ZZZ-1, ZZZ-2, ZZZ-3] | join(' ')", "a||c", "a c"),
        ("ZZZ-1 | split('-')", "a - b", ["a", "b"]),
        ("ZZZ-1[*] | first", "~b~c", "b"),
        ("ZZZ-1[*] | first", "", None),
        ("ZZZ-1[*] | same", "a~a", "a"),
        ("ZZZ-1 | replace('.', '')", "1.2.3", "123"),
        ("ZZZ-1 | lookup(open)", " A ", "A"),
        ("ZZZ-1 | lookup(open)", "x", "OTHER"),
        ("ZZZ-1 | lookup(closed, 'D')", "x", "D"),
        ("ZZZ-1 | lookup(closed, ZZZ-1)", "x", "x"),
        ("ZZZ-1 | lookup(closed)", "none", ""),
        ("ZZZ-1 | lookup(closed)", "", ""),
        ("ZZZ-1 | uid", "1.2.840.10008.1.1", "1.2.840.10008.1.1"),
        ("ZZZ-1 | uid", "urn:oid:1.2", "1.2"),
        ("ZZZ-1 | text", "a^b&c \\T\\ d", "a^b&c & d"),
        ("ZZZ-1[*] | text | join('/')", "a^b~c", "a^b/c"),
        ("ZZZ-1 | component(2)", "a^b^c", "b"),
        ("ZZZ-1 | component(4)", "a^b^c", None),
        ("ZZZ-1.2 | component(2)", "a^b&c", "c"),
        ("ZZZ-1 | component(2)", 'a^""', NULL),
        ("ZZZ-1 | timestamp", "202611210930+0100", "202611210930+0100"),
        ("ZZZ-1 | timestamp", "2026", "2026"),
        ("ZZZ-1 | timestamp", "00000000", ""),
        ("ZZZ-1 | timestamp_or_nothing", "202611210930", "202611210930"),
        ("ZZZ-1 | timestamp_or_nothing", "2026112130", None),
        ("(ZZZ-1 | timestamp_or_nothing) or ZZZ-2", "2026112130|2026", "2026"),
        ("ZZZ-1 | not_empty", "V", "V"),
        ("ZZZ-1 | date", "19800229123000", "19800229"),
        ("ZZZ-1 | date", "1980022900000000000", "19800229"),
        ("ZZZ-1 | date", "1980", "1980"),
        ("ZZZ-1 | person_name", "TEST&VON^ALPHA^^JR^DR", "VON TEST^ALPHA^^DR^JR"),
        ("ZZZ-1 | physician", "1001^TEST^ALPHA", "TEST^ALPHA"),
        ("ZZZ-1.1 | physician", "1001&TEST&ALPHA", "TEST^ALPHA"),
        ("ZZZ-1 | physician", "1001", ""),
        ("ZZZ-1 | issuer", "17^HOSP", "MAIN"),
        ("ZZZ-1 | issuer", "17^^1.2.3^ISO", "MAIN"),
        ("ZZZ-1 | issuer", "17^other", "OTHER"),
        ("ZZZ-1 | issuer", "17", "DEFAULT"),
        ("ZZZ-1 | cx_issuer", "17^^^HOSP", "MAIN"),
        ("ZZZ-1 | cx_issuer", "17", "DEFAULT"),
        ("ZZZ-1 | urgency", "S", "S"),
        ("ZZZ-1 | urgency", "TS30", "T2H"),
        ("ZZZ-1 | urgency", "TM120", "T2H"),
        ("ZZZ-1 | urgency", "TM121", "T"),
        ("ZZZ-1 | urgency", "TH2", "T2H"),
        ("ZZZ-1 | urgency", "TH4", "T"),
        ("ZZZ-1 | urgency", "TX1", "TX1"),
        ("ZZZ-1 | urgency", "PRN", "PRN"),
    ],
)
def test_functions_on_messages(expression: str, fields: str, value: object) -> None:
    assert run(expression, fields) == value


def test_identifiers_carry_the_key_of_their_issuer() -> None:
    found = run("ZZZ-1 | identifiers", "1^^^HOSP^MR~2^^^&9.9&ISO~3")

    assert found == (
        IdentifierFact(value="1", issuer="MAIN", type_code="MR"),
        IdentifierFact(value="2", issuer="9.9"),
        IdentifierFact(value="3", issuer="DEFAULT"),
    )


@pytest.mark.parametrize(
    ("expression", "fields", "code", "text"),
    [
        ("ZZZ-1 | uid", "1.02.3", "MAP-203", "rule {rule}: {path} is not a valid UID"),
        ("ZZZ-1 | uid", "1." + "2" * 63, "MAP-203", "rule {rule}: {path} is not a valid UID"),
        ("ZZZ-1 | timestamp", "yesterday", "MAP-203", "rule {rule}: {path} is not a valid date"),
        ("ZZZ-1 | date", "20260230", "MAP-203", "rule {rule}: {path} is not a valid date"),
        ("ZZZ-1 | lookup(closed)", "x", "MAP-202", "rule {rule}: value of {path} is not in table 'closed'"),
        ("ZZZ-1 | required", "", "MAP-201", "rule {rule}: {path} is empty and has no default"),
        ("ZZZ-1 | not_empty", "", "HL7-111", "{path} is required"),
        ("ZZZ-1 | not_empty", '""', "HL7-111", "{path} is required"),
        ("ZZZ-1 | not_null", '""', "HL7-111", "{path} is required"),
        ("ZZZ-1[*] | same", "a~b", "MAP-203", "rule {rule}: {path} is not the same in every repetition"),
    ],
)
def test_functions_refuse(expression: str, fields: str, code: str, text: str) -> None:
    with pytest.raises(Refused) as raised:
        run(expression, fields)

    assert (raised.value.code, raised.value.text) == (code, text)
    assert raised.value.paths is not None
    assert [path.text.partition("[")[0] for path in raised.value.paths] == ["ZZZ-1"]


NAMES = [
    {"use": "nickname", "text": "AL"},
    {"use": "usual", "family": "USUAL"},
    {"use": "official", "family": "TEST", "given": ["ALPHA", "B"], "prefix": ["DR"], "suffix": ["JR"]},
]


@pytest.mark.parametrize(
    ("expression", "resource", "value"),
    [
        ("name | person_name", {"name": NAMES}, "TEST^ALPHA^B^DR^JR"),
        ("name | person_name", {"name": NAMES[:2]}, "USUAL"),
        ("name | person_name", {"name": NAMES[:1]}, "AL"),
        ("name | person_name", {"name": {"family": "A^B=C\\D"}}, "A B C/D"),
        ("name | person_name", {}, None),
        ("birthDate | date", {"birthDate": "1980-02-29"}, "19800229"),
        ("birthDate | date", {"birthDate": "1980-02"}, "198002"),
        ("when | timestamp", {"when": "2026-11-21T09:30:00Z"}, "20261121093000+0000"),
        ("when | timestamp", {"when": "2026-11-21T09:30:00.5+01:00"}, "20261121093000.5+0100"),
        ("requester | physician", {"requester": {"display": "TEST, ALPHA"}}, "TEST, ALPHA"),
        ("requester | physician", {"requester": {"name": NAMES}}, "TEST^ALPHA^B^DR^JR"),
        ("requester | physician", {"requester": {"reference": "Practitioner/1"}}, ""),
        ("identifier | issuer", {"identifier": {"value": "1", "system": "http://hospital.test/mrn"}}, "MAIN"),
        ("identifier | issuer", {"identifier": [{"value": "1", "system": "urn:oid:1.2.3"}]}, "MAIN"),
        ("identifier | issuer", {"identifier": {"value": "1", "assigner": {"display": "hosp"}}}, "MAIN"),
        ("identifier | issuer", {"identifier": {"value": "1"}}, "DEFAULT"),
        ("identifier | issuer", {"identifier": {"system": "x"}}, ""),
        (
            "identifier | identifiers",
            {"identifier": [{"value": " 7 "}, {"system": "x"}, "odd"]},
            (IdentifierFact(value="7", issuer="DEFAULT"),),
        ),
        ("note[*].text | join('/')", {"note": [{"text": "A"}, {"text": "B"}]}, "A/B"),
        ("flag | default('no')", {"flag": False}, "no"),
    ],
)
def test_functions_on_resources(expression: str, resource: dict[str, Any], value: object) -> None:
    assert run(expression, source=resource, kind="fhir") == value


def test_functions_that_write_hl7() -> None:
    event = {
        "patient": {
            "name": "TEST^ALPHA^^DR^JR",
            "identifiers": [{"value": "1", "issuer": "MAIN", "type_code": "MR"}, {"value": "", "issuer": "X"}],
        },
        "order": {"placer_number": "P&1", "placer_issuer": "MAIN", "requesting_physician": "TEST^BETA"},
        "step": {"start": "202611210930"},
    }

    name = run("patient.name | xpn", source=event)
    identifiers = run("patient.identifiers | cx", source=event)
    number = run("order.placer_number | ei(order.placer_issuer)", source=event)
    physician = run("order.requesting_physician | xcn", source=event)

    assert isinstance(name, Raw)
    assert name.text == "TEST^ALPHA^^JR^DR^^L"
    assert identifiers.text == "1^^^HOSP&1.2.3&ISO^MR"
    assert number.text == "P\\T\\1^HOSP^1.2.3^ISO"
    assert physician.text == "^TEST^BETA"
    assert run("step.start | hl7_timestamp", source=event) == "202611210930"
    assert run("order.placer_number | hl7_timestamp('')", source=event) == ""
    with pytest.raises(Refused, match="is not a valid date"):
        run("order.placer_number | hl7_timestamp", source=event)


@pytest.mark.parametrize(
    ("expression", "kind", "code", "text", "column"),
    [
        ("PID-1 | luokup(open)", "hl7v2", "MAP-101", "unknown function 'luokup'; did you mean 'lookup'?", 9),
        ("a | text", "fhir", "MAP-101", "function 'text' is not for fhir sources", 5),
        ("PID-1 | upper('x')", "hl7v2", "MAP-101", "function 'upper' takes nothing in brackets", 9),
        ("PID-1 | replace('x')", "hl7v2", "MAP-101", "function 'replace' takes old, new in brackets", 9),
        ("PID-1 | lookup(gone)", "hl7v2", "CFG-112", "'tables/gone.csv' does not exist under mappings/", 16),
        ("PID-1 | lookup('open')", "hl7v2", "CFG-112", "'tables/?.csv' does not exist under mappings/", 9),
        ("PID-1 |", "hl7v2", "CFG-106", "not an expression: expression ends too early", 8),
    ],
)
def test_what_is_wrong_with_a_call_is_said_at_load(
    expression: str, kind: SourceKind, code: str, text: str, column: int
) -> None:
    environment = Environment(source=kind, tables=TABLES)

    compile_expression(expression, environment, Place("m.yaml"))

    assert [(flaw.code, flaw.text, flaw.place.column) for flaw in environment.flaws] == [(code, text, column)]


def test_a_table_without_a_default_is_warned_about() -> None:
    environment = Environment(source="hl7v2", tables=TABLES)

    compile_expression("PID-1 | lookup(closed)", environment, Place("m.yaml"))
    compile_expression("PID-1 | lookup(closed, '')", environment, Place("m.yaml"))
    compile_expression("PID-1 | lookup(open)", environment, Place("m.yaml"))

    assert [(flaw.code, flaw.text, flaw.severity) for flaw in environment.flaws] == [
        ("MAP-104", "table 'closed' has no default and no row for every input", "warning")
    ]


def test_every_function_says_what_it_does() -> None:
    assert [function.name for function in FUNCTIONS if not function.doc.endswith((".", ")."))] == []
