"""Paths and operators on messages and on plain data: absent, empty and explicit null stay apart."""

from __future__ import annotations

from typing import Any

import pytest

from engine.hl7.message import Message
from engine.mapping.compile import Environment, SourceKind, compile_expression
from engine.mapping.context import Context
from engine.mapping.place import Place
from engine.mapping.scope import Scope
from engine.mapping.value import Raw, has_value
from engine.records.explicit import NULL

MESSAGE = (
    "MSH|^~\\&|HIS|HOSP|||20261121||ADT^A08|1|P|2.5.1\r"
    'PID|1|""|4711^^^HOSP&1.2.3&ISO^MR~0815^^^OTHER||TEST^ALPHA\\T\\BETA^^JR~ALIAS^^^^^^A||""||  F  ||\r'
    "OBX|1|ST|113014^DICOM Study^DCM||1.2.3||||||O\r"
    'OBX|2|NM|WEIGHT||""\r'
    "OBX|3|NM|HEIGHT||182~183\r"
)


def read(text: str, source: Any = MESSAGE, kind: SourceKind = "hl7v2", **options: Any) -> Any:
    environment = Environment(source=kind, **options)
    compiled = compile_expression(text, environment, Place("test.yaml"))
    assert environment.flaws == []
    scope = Scope.of(Message.parse(source.encode()) if isinstance(source, str) else source, Context())
    return compiled.read(scope)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("PID-1", "1"),
        ("PID-3", "4711"),
        ("PID-3.4", "HOSP"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3[2].1", "0815"),
        ("PID-3[2].4.2", None),
        ("PID-3[3]", None),
        ("PID-3[*]", ["4711", "0815"]),
        ("PID-5.2", "ALPHA&BETA"),
        ("PID-5[7='A'].1", "ALIAS"),
        ("PID-5[7='L'].1", None),
        ("PID-8", ""),
        ("PID-9", "F"),
        ("PID-10", ""),
        ("PID-40", None),
        ("PID-2", NULL),
        ("PID-2.1", NULL),
        ("PID-7", NULL),
        ("PV1-19", None),
        ("MSH-9.1", "ADT"),
        ("MSH-9", "ADT"),
        ("MSH-3", "HIS"),
        ("OBX-5", "1.2.3"),
        ("OBX[2]-5", NULL),
        ("OBX[4]-5", None),
        ("OBX[*]-3", ["113014", "WEIGHT", "HEIGHT"]),
        ("OBX[*]-5", ["1.2.3", NULL, "182"]),
        ("OBX[*]-5[*]", ["1.2.3", NULL, "182", "183"]),
        ("OBX[3.1='113014']-5", "1.2.3"),
        ("OBX[3.2='DICOM Study']-5", "1.2.3"),
        ("OBX[3='NONE']-5", None),
        ("ZDS[*]-1", None),
        ("site.name", None),
    ],
)
def test_hl7_paths(path: str, value: object) -> None:
    assert read(path) == value


def test_a_segment_alone_tells_whether_it_is_there() -> None:
    assert has_value(read("OBX"))
    assert not has_value(read("ZDS"))


def test_null_is_empty_reads_nulls_as_empty() -> None:
    assert read("PID-2", null_is_empty=True) == ""
    assert read("OBX[2]-5", null_is_empty=True) == ""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("PID-40 or PID-3", "4711"),
        ("PID-2 or PID-3", "4711"),
        ("PID-40 or PID-2", NULL),
        ("PID-2 or PID-40", NULL),
        ("PID-40 or PID-10", ""),
        ("PID-40 or PID-41", None),
        ("PID-10 or PID-2 or PID-40", NULL),
        ("PID-40 or 'literal'", "literal"),
        ("false or PID-1", "1"),
        ("PID-40 or 0", 0),
    ],
)
def test_or_gives_a_value_else_a_null_else_empty_else_nothing(expression: str, value: object) -> None:
    assert read(expression) == value


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("PID-3 == '4711'", True),
        ("PID-3 != '4711'", False),
        ("PID-3[*] == '0815'", True),
        ("PID-1 == 1", True),
        ("PID-1 < 2", True),
        ("PID-1 >= 1.5", False),
        ("MSH-12 >= 2.4", False),  # 2.5.1 is no number
        ("MSH-12 >= '2.4'", True),
        ("MSH-12 > '2.6'", False),
        ("PID-40 < '9'", False),
        ("PID-2 == null", True),
        ("PID-10 == null", False),
        ("PID-10 == ''", True),
        ("PID-40 == ''", False),
        ("PID-3 in ['1', '4711']", True),
        ("PID-3 not in ['1', '4711']", False),
        ("PID-3 in '4711'", True),
        ("MSH-9.1 == 'ADT' and MSH-9.2 in ['A01', 'A08']", True),
        ("not PID-40", True),
        ("not PID-2", True),
        ("not PID-10", True),
        ("not PID-3", False),
        ("OBX[*]-3 == 'HEIGHT' and not ZDS", True),
        ("PID-3 | starts_with('47')", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert has_value(read(condition)) is holds


def test_functions_on_data_types_are_given_the_field_with_its_parts() -> None:
    environment = Environment(source="hl7v2")
    scope = Scope.of(Message.parse(MESSAGE.encode()), Context())

    whole = compile_expression("PID-3", environment, Place("x"), raw=True).read(scope)
    one = compile_expression("PID-3[2]", environment, Place("x"), raw=True).read(scope)
    part = compile_expression("PID-3.4", environment, Place("x"), raw=True).read(scope)

    assert isinstance(whole, Raw)
    assert whole.text == "4711^^^HOSP&1.2.3&ISO^MR~0815^^^OTHER"
    assert one.text == "0815^^^OTHER"
    assert (part.text, part.is_component) == ("HOSP&1.2.3&ISO", True)


def test_a_field_of_separators_alone_is_empty_for_functions_too() -> None:
    message = MESSAGE.replace("4711^^^HOSP&1.2.3&ISO^MR~0815^^^OTHER", "^^^~")

    assert read("PID-3 or PID-1 | text", message) == "1"


def test_other_delimiters_are_honoured() -> None:
    message = "MSH$%*!@$HIS$HOSP$$$20261121$$ADT%A08$1$P$2.5.1\rPID$1$$4711%%%HOSP@1.2.3*0815$$TEST%A!S!B\r"

    assert read("PID-3.4.2", message) == "1.2.3"
    assert read("PID-3[2]", message) == "0815"
    assert read("PID-5.2", message) == "A%B"


RESOURCE: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "identifier": [
        {"value": "1", "type": {"coding": [{"code": "PLAC"}, {"code": "LOCAL"}]}},
        {"value": "2", "type": {"coding": [{"code": "ACSN"}]}},
        {"value": "3"},
    ],
    "code": {"coding": [{"system": "a", "code": "A"}, {"system": "it's", "code": "B"}], "text": "CODE"},
    "note": [{"text": "ONE"}, {}, {"text": "TWO"}],
    "doNotPerform": False,
    "quantity": 3,
    "nothing": None,
    "empty": [],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "active"),
        ("code.text", "CODE"),
        ("code.coding.code", "A"),
        ("code.coding[1].code", "B"),
        ("code.coding[9].code", None),
        (r"code.coding[system='it\'s'].code", "B"),
        ("identifier[type.coding.code='ACSN'].value", "2"),
        ("identifier[type.coding.code='LOCAL'].value", "1"),
        ("identifier[type.coding.code='NONE'].value", None),
        ("identifier[*].value", ["1", "2", "3"]),
        ("note[*].text", ["ONE", "TWO"]),
        ("note.text", "ONE"),
        ("doNotPerform", False),
        ("quantity", 3),
        ("nothing", None),
        ("nothing.more", None),
        ("status.more", None),
        ("empty", None),
    ],
)
def test_data_paths(path: str, value: object) -> None:
    assert read(path, RESOURCE, "fhir") == value


@pytest.mark.parametrize(
    ("text", "kind", "flaw"),
    [
        ("PID_3", "hl7v2", "'PID_3' is not a HL7 field of hl7v2"),
        ("PID-0", "hl7v2", "'PID-0' is not a HL7 field of hl7v2"),
        ("PID-3.0", "hl7v2", "'PID-3.0' is not a HL7 field of hl7v2"),
        ("pid-3", "hl7v2", "'pid-3' is not a HL7 field of hl7v2"),
        ("PID-3[0]", "hl7v2", "'PID-3[0]' is not a HL7 field of hl7v2"),
        ("PID-3.4.2.1", "hl7v2", "'PID-3.4.2.1' is not a HL7 field of hl7v2"),
        ("order.placer", "event", "'order.placer' is not a field of event"),
        ("ordr.placer_number", "event", "'ordr.placer_number' is not a field of event"),
        ("code..text", "fhir", "'code..text' is not a FHIR element of fhir"),
        ("code.", "fhir", "'code.' is not a FHIR element of fhir"),
    ],
)
def test_what_is_no_path_of_the_source(text: str, kind: SourceKind, flaw: str) -> None:
    environment = Environment(source=kind)

    compile_expression(f"'x' or {text}", environment, Place("m.yaml", 4, 10))

    assert [(found.code, found.text, str(found.place), found.place.column) for found in environment.flaws] == [
        ("MAP-102", flaw, "m.yaml:4", 17)
    ]
