"""Mappings as documents: what they refuse at load, what they do and refuse per message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.config.position import read_document
from engine.config.validation import validated
from engine.hl7.acknowledgement import Problem
from engine.hl7.message import Message
from engine.mapping.build import Entry, MappingBuilder
from engine.mapping.context import Context
from engine.mapping.document import MappingDocument
from engine.mapping.fault import MappingFault
from engine.mapping.fhir_source import source_of
from engine.mapping.mapping import Mapping
from engine.mapping.outgoing import Outgoing
from engine.mapping.table import Table
from engine.records.explicit import NULL
from engine.records.fact import OrderFact

PATIENT = """
from: hl7v2
to: patient
set:
  identifiers: PID-3 | identifiers
  name: PID-5 | person_name
"""
HEAD = "MSH|^~\\&|HIS|HOSP|||20261121||ORM^O01|1|P|2.5.1\r"


def built(**texts: str) -> tuple[dict[str, Mapping], list[str]]:
    """Return mappings of file texts by name (`_` for `-`), and the flaws as lines of text."""
    entries: dict[str, Entry] = {}
    flaws = []
    for key, text in texts.items():
        name = key.replace("_", "-")
        document, found = read_document(text.lstrip("\n"), f"mappings/{name}.yaml")
        assert document is not None, found
        said, more = validated(MappingDocument, document)
        flaws += [*found, *more]
        if said is not None:
            entries[name] = Entry(said, document)
    builder = MappingBuilder(entries, {"closed": Table("closed", {"a": "A"})})
    mappings = builder.build_all()
    flaws += builder.flaws
    return mappings, [f"{f.place}:{f.place.column}: {f.severity} {f.code}: {f.text}" for f in flaws]


def mapping(text: str, **others: str) -> Mapping:
    mappings, flaws = built(main=text, **others)
    assert flaws == []
    return mappings["main"]


def run(made: Mapping, source: str | dict[str, Any], **options: Any) -> list[Any]:
    given = Message.parse((HEAD + source).encode()) if isinstance(source, str) else source
    return [result.fact for result in made.run(given, Context(), **options)]


def order(rules: str, head: str = "") -> str:
    return f"from: hl7v2\nto: order\n{head}\nset:\n  patient: {{use: patient}}\n{rules}"


# at load


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (
            order("  modalty: IPC-5"),
            "mappings/main.yaml:6:3: error CFG-104: unknown key 'modalty' under 'set'; did you mean 'modality'?",
        ),
        (
            order("  modality: IPC-5 | lookup(gone)"),
            "mappings/main.yaml:6:28: error CFG-112: 'tables/gone.csv' does not exist under mappings/",
        ),
        (
            order("  modality: 'IPC-5 | uper'"),
            "mappings/main.yaml:6:22: error MAP-101: unknown function 'uper'; did you mean 'upper'?",
        ),
        (
            order("  modality: {value: IPC5 or IPC-5}"),
            "mappings/main.yaml:6:21: error MAP-102: 'IPC5' is not a HL7 field of hl7v2",
        ),
        (
            order("  visit: {use: gone}"),
            "mappings/main.yaml:6:16: error CFG-112: 'gone.yaml' does not exist under mappings/",
        ),
        (
            order("  visit: {use: patient}"),
            "mappings/main.yaml:6:16: error CFG-106: "  # noqa: ISC004
            "'set.visit.use' must be a mapping to visit; 'patient' is to patient",
        ),
        (
            order("  visit: PV1-19"),
            "mappings/main.yaml:6:10: error CFG-106: 'set.visit' must be a mapping, for example {use: visit-from-…}",
        ),
        (
            "from: hl7v2\nto: order\nset: {modality: IPC-5}",
            "mappings/main.yaml:3:6: error CFG-105: 'set.patient' is required",
        ),
        (
            "from: hl7v2\nto: patient\nset: {name: PID-5}",
            "mappings/main.yaml:3:6: error CFG-105: 'set.identifiers' is required",
        ),
        (
            order("  modality: {value: A, text: B}"),
            "mappings/main.yaml:6:13: error CFG-106: 'set.modality' must be one of value, text and use",
        ),
        (
            order("  modality: {valu: A}"),
            "mappings/main.yaml:6:14: error CFG-104: unknown key 'valu' under 'set.modality'; did you mean 'value'?",
        ),
        (order("", "wen: PID-3"), "mappings/main.yaml:3:1: error CFG-104: unknown key 'wen'; did you mean 'when'?"),
        (order("", "when: 7"), "mappings/main.yaml:3:7: error CFG-106: 'when' must be text"),
        ("to: order\nset: {patient: PID-3}", "mappings/main.yaml:1:1: error CFG-105: 'from' is required"),
        (
            "from: hl7v3\nto: json\nset: {a: b}",
            "mappings/main.yaml:1:7: error CFG-106: 'from' must be one of 'hl7v2', 'fhir' or 'event'",
        ),
        (
            "from: event\nto: hl7v2\nset: {PID-3: patient.key}",
            "mappings/main.yaml:1:1: error CFG-106: "  # noqa: ISC004
            "the file must be a mapping with message: when it is to hl7v2, and only then",
        ),
        (
            "from: event\nto: hl7v2\nmessage: ADT^A08\nset: {MSH-10: patient.key}",
            "mappings/main.yaml:4:7: error MAP-102: 'MSH-10' is not a HL7 field that a mapping sets",
        ),
        (
            "from: event\nto: json\nset: {a..b: patient.key}",
            "mappings/main.yaml:3:7: error MAP-102: 'a..b' is not a JSON element",
        ),
    ],
)
def test_flaws_stand_at_their_place(text: str, flaw: str) -> None:
    _, flaws = built(main=text, patient=PATIENT)

    assert flaws == [flaw]


def test_a_mapping_may_not_include_itself() -> None:
    _, flaws = built(
        one="from: hl7v2\nto: json\nset: {a: {use: two}}", two="from: hl7v2\nto: json\nset: {b: {use: one}}"
    )

    assert flaws[0] == "mappings/two.yaml:3:16: error MAP-105: mapping includes itself: one → two → one"


def test_a_nested_mapping_reads_the_same_kind_of_source() -> None:
    _, flaws = built(
        main=order(""), patient=PATIENT.replace("hl7v2", "fhir").replace("PID-3", "a").replace("PID-5", "b")
    )

    assert flaws == [
        "mappings/main.yaml:5:18: error CFG-106: 'set.patient.use' must be a mapping from hl7v2; 'patient' is from fhir"
    ]


# groups

TWO_ORDERS = (
    "PID|1||4711\rNTE|1||PATIENT\rORC|NW|P1\rTQ1|1||||||2026\rOBR|1|P1||A\rNTE|1||FIRST\rOBR|2|P1||B\r"
    "ORC|NW|P2\rOBR|3|P2||C\rZDS|1.2.3\r"
)
GROUPED = "  placer_number: ORC-2\n  code: OBR-4\n  comments: NTE-3\n  scheduled_start: TQ1-7\n  study_uid: ZDS-1"


def test_an_obr_under_the_same_orc_starts_a_group_that_shares_what_stands_before_the_first() -> None:
    made = run(mapping(order(GROUPED, "each: [ORC, OBR]"), patient=PATIENT), TWO_ORDERS)

    assert [(one.placer_number, one.code, one.scheduled_start, one.study_uid) for one in made] == [
        ("P1", "A", "2026", None),
        ("P1", "B", "2026", None),
        ("P2", "C", None, "1.2.3"),
    ]


def test_a_group_sees_its_own_segments_then_those_before_the_first_group() -> None:
    made = run(mapping(order(GROUPED, "each: [ORC, OBR]"), patient=PATIENT), TWO_ORDERS)
    own = run(mapping(order(GROUPED, "each: [ORC, OBR]\noptions: {own: [NTE]}"), patient=PATIENT), TWO_ORDERS)

    assert [one.comments for one in made] == ["FIRST", "PATIENT", "PATIENT"]
    assert [one.comments for one in own] == ["FIRST", None, None]


def test_each_orc_alone_starts_a_group() -> None:
    made = run(mapping(order(GROUPED, "each: ORC"), patient=PATIENT), TWO_ORDERS)

    assert [(one.placer_number, one.code) for one in made] == [("P1", "A"), ("P2", "C")]


def test_without_any_orc_every_obr_is_a_group() -> None:
    made = run(mapping(order(GROUPED, "each: [ORC, OBR]"), patient=PATIENT), "PID|1||4711\rOBR|1|||A\rOBR|2|||B\r")

    assert [(one.placer_number, one.code) for one in made] == [(None, "A"), (None, "B")]


def test_when_leaves_groups_out() -> None:
    made = run(mapping(order(GROUPED, "each: [ORC, OBR]\nwhen: OBR-4 != 'B'"), patient=PATIENT), TWO_ORDERS)

    assert [one.code for one in made] == ["A", "C"]


def test_segments_of_all_or_none() -> None:
    made = mapping(order(GROUPED, "each: [ORC, OBR]\noptions: {all_or_none: [ZDS]}"), patient=PATIENT)

    with pytest.raises(MappingFault) as raised:
        run(made, TWO_ORDERS)

    assert (raised.value.code, raised.value.text, raised.value.where) == (
        "HL7-110",
        "ZDS is required in each group or in none",
        "ZDS^1",
    )


# per message


def fault(made: Mapping, source: str | dict[str, Any]) -> tuple[str, str, str | None, int, str, int]:
    with pytest.raises(MappingFault) as raised:
        run(made, source)
    found = raised.value
    return found.code, found.text, found.where, found.rule, found.file, found.line


def test_map_201() -> None:
    made = mapping(order("  rp_id: OBR-19 | required"), patient=PATIENT)

    assert fault(made, "PID|1||4711\rOBR|1\r") == (
        "MAP-201",
        "rule 2: OBR-19 is empty and has no default",
        "OBR^1^19",
        2,
        "mappings/main.yaml",
        6,
    )


def test_our_journal_also_says_which_line_of_ours_refused() -> None:
    made = mapping(order("  rp_id: OBR-19 | required\n  scheduled_start: OBR-36 | timestamp"), patient=PATIENT)

    with pytest.raises(MappingFault) as raised:
        run(made, "PID|1||4711\rOBR|1\r")
    assert raised.value.kept_text == "rule 2 at mappings/main.yaml:6: OBR-19 is empty and has no default"

    with pytest.raises(MappingFault) as raised:
        run(made, "PID|1||4711\rOBR|1" + "|" * 18 + "R" + "|" * 17 + "soon\r")
    assert raised.value.text == "rule 3: OBR-36 is not a valid date"
    assert raised.value.kept_text == "rule 3 at mappings/main.yaml:7: OBR-36 is not a valid date"


def test_what_is_missing_is_missing_as_a_field() -> None:
    made = mapping(order("  rp_id: OBR-19.1 | not_empty"), patient=PATIENT)

    assert fault(made, "PID|1||4711\rOBR|1\r")[:3] == ("HL7-111", "OBR-19 is required", "OBR^1^19")


def test_what_is_left_out_is_told_with_its_place() -> None:
    made = mapping(order("  scheduled_start: OBR-36 or OBR-7 | timestamp_or_nothing", "each: OBR"), patient=PATIENT)
    segments = "PID|1||4711\rOBR|1||||||20261121\rOBR|2||||||2026112130\r"

    first, second = made.run(Message.parse((HEAD + segments).encode()), Context())

    assert isinstance(first.fact, OrderFact)
    assert isinstance(second.fact, OrderFact)
    assert (first.fact.scheduled_start, list(first.warnings)) == ("20261121", [])
    assert second.fact.scheduled_start is None
    assert list(second.warnings) == [Problem("MAP-203", "OBR-7 is not a valid date; it is left out", "OBR^2^7", "W")]


def test_map_202() -> None:
    made, flaws = built(main=order("  modality: IPC-5 or OBR-24.1 | lookup(closed)"), patient=PATIENT)

    assert flaws == [
        "mappings/main.yaml:6:33: warning MAP-104: table 'closed' has no default and no row for every input"
    ]
    assert fault(made["main"], "PID|1||4711\rOBR|1" + "|" * 23 + "Q\r")[:3] == (
        "MAP-202",
        "rule 2: value of OBR-24 is not in table 'closed'",
        "OBR^1^24^1^1",
    )


def test_map_203() -> None:
    made = mapping(order("  study_uid: IPC-3 or ZDS-1 | uid"), patient=PATIENT)

    assert fault(made, "PID|1||4711\rZDS|1.2.x\r")[:3] == ("MAP-203", "rule 2: ZDS-1 is not a valid UID", "ZDS^1^1")


def test_a_list_is_not_one_value() -> None:
    made = mapping(order("  comments: NTE[*]-3"), patient=PATIENT)

    assert run(made, "PID|1||4711\rNTE|1||A\r")[0].comments == "A"
    assert run(made, "PID|1||4711\r")[0].comments is None
    assert fault(made, "PID|1||4711\rNTE|1||A\rNTE|2||B\r")[:3] == (
        "MAP-203",
        "rule 2: NTE-3 is not one value",
        "NTE^1^3",
    )


def test_map_205_too_many_steps() -> None:
    made = mapping(order("  comments: NTE[*]-3 | join", "each: [ORC, OBR]"), patient=PATIENT)

    code, text, *_ = fault(made, "PID|1||4711\r" + "OBR|1\r" * 40_000)

    assert (code, text) == ("MAP-205", "stopped after 100000 steps")


def test_map_205_too_large_a_result() -> None:
    made = mapping(order("  comments: NTE-3", "each: [ORC, OBR]"), patient=PATIENT)

    code, text, *_ = fault(made, "PID|1||4711\rNTE|1||" + "X" * 1_000_000 + "\r" + "OBR|1\r" * 20)

    assert (code, text) == ("MAP-205", "result larger than 16777216 bytes")


def test_a_site_may_lower_the_bounds() -> None:
    made = mapping(order("  comments: NTE-3"), patient=PATIENT)
    message = Message.parse((HEAD + "PID|1||4711\rNTE|1||ABC\r").encode())

    with pytest.raises(MappingFault, match="MAP-205: stopped after 3 steps"):
        made.run(message, Context(most_steps=3))
    with pytest.raises(MappingFault, match="MAP-205: result larger than 2 bytes"):
        made.run(message, Context(most_bytes=2))


@pytest.mark.parametrize("pid", ["PID|1", "PID|1||", 'PID|1||""', "PID|1||^^^HOSP", "PV1|1"])
def test_a_patient_needs_an_identifier(pid: str) -> None:
    made = mapping(order(""), patient=PATIENT)

    assert fault(made, f"{pid}\r")[:3] == ("HL7-111", "PID-3 is required", "PID^1^3")


def test_three_kinds_of_nothing_arrive_as_three() -> None:
    made = mapping(order("  code: OBR-4\n  rp_id: OBR-5\n  sps_id: OBR-6"), patient=PATIENT)

    fact = run(made, 'PID|1||4711\rOBR|1|||""|\r')[0]

    assert (fact.code, fact.rp_id, fact.sps_id) == (NULL, "", None)


def test_null_is_empty_holds_in_mappings_that_are_used_too() -> None:
    text = order("  code: OBR-4", "options: {null_is_empty: true}")

    fact = run(mapping(text, patient=PATIENT), 'PID|1||4711||""\rOBR|1|||""\r')[0]

    assert (fact.code, fact.patient.name) == ("", "")


def test_literals_conditions_and_other_types() -> None:
    made = mapping(
        order(
            "  code: {text: 7}\n  rp_id: {value: PID-1, when: PV1}\n  sps_id: true\n  modality: {text: CT, when: PID}"
        ),
        patient=PATIENT,
    )

    fact = run(made, "PID|1||4711\r")[0]

    assert (fact.code, fact.rp_id, fact.sps_id, fact.modality) == ("7", None, "true", "CT")


def test_an_order_that_a_condition_cannot_read_is_refused() -> None:
    made = mapping(order("", "when: OBR-7 | timestamp"), patient=PATIENT)

    assert fault(made, "PID|1||4711\rOBR|1||||||never\r")[:3] == (
        "MAP-203",
        "rule 0: OBR-7 is not a valid date",
        "OBR^1^7",
    )


def test_explain_names_the_path_that_gave_the_value() -> None:
    made = mapping(order("  code: OBR-44 or OBR-4\n  modality: {text: CT}\n  rp_id: OBR-19"), patient=PATIENT)

    (result,) = made.run(Message.parse((HEAD + "PID|1||4711||A^B\rOBR|1|||C\r").encode()), Context(), explain=True)

    assert [(one.target, one.source, one.line) for one in result.explain] == [
        ("patient.identifiers", "PID-3", 4),
        ("patient.name", "PID-5", 5),
        ("code", "OBR-4", 6),
        ("modality", "", 7),
    ]
    assert [one.value for one in result.explain][1:] == ["A^B", "C", "CT"]


def test_data_is_made_at_dotted_keys() -> None:
    made = mapping(
        "from: event\nto: fhir\nresource: Task\nset:\n  status: {text: completed}\n"
        "  code.coding[0].code: procedure.code\n  code.coding[1].code: {text: x}\n  input[0].flag: study.is_update\n"
        "  note: order.priority\n"
    )

    assert run(made, {"procedure": {"code": "71260"}, "study": {"is_update": True}, "order": {"priority": ""}}) == [
        {
            "resourceType": "Task",
            "status": "completed",
            "code": {"coding": [{"code": "71260"}, {"code": "x"}]},
            "input": [{"flag": True}],
        }
    ]


def test_each_item_of_a_list() -> None:
    made = mapping("from: event\nto: json\neach: study.modalities\nset:\n  a: {text: 1}")

    assert run(made, {"study": {"modalities": ["CT", "MR"]}}) == [{"a": 1}, {"a": 1}]
    assert run(made, {}) == []


# HL7 out


def test_a_message_is_the_same_for_the_same_control_id_and_time() -> None:
    made = mapping(
        "from: event\nto: hl7v2\nmessage: ADT^A08^ADT_A01\nset:\n  MSH-3: {text: US}\n"
        "  PID-3: patient.identifiers | cx\n  PID-5.1: patient.name\n  PID-8: patient.sex\n"
        "  NTE[2]-3: order.priority\n  NTE[1]-3: study.modalities[*]\n"
    )
    event = {
        "patient": {"identifiers": [{"value": "1"}, {"value": "2"}], "name": "A|B", "sex": ""},
        "study": {"modalities": ["CT", "MR"]},
        "order": {"priority": "X\nY"},
    }
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    (outgoing,) = run(made, event)

    assert isinstance(outgoing, Outgoing)
    assert outgoing.render(control_id="C1", now=now) == outgoing.render(control_id="C1", now=now)
    assert outgoing.render(control_id="C1", now=now) == (
        b"MSH|^~\\&|US||||20261121093000+0000||ADT^A08^ADT_A01|C1|P|2.5.1||||||UNICODE UTF-8\r"
        b"PID|||1~2||A\\F\\B\rNTE|||X\\.br\\Y\rNTE|||CT~MR\r"
    )


def test_a_message_can_be_made_of_a_message_and_keeps_its_nulls() -> None:
    made = mapping(
        "from: hl7v2\nto: hl7v2\nmessage: ADT^A08\nset:\n  PID-3: PID-3\n  PID-8: PID-8\n  MSH-11: {text: T}"
    )

    (outgoing,) = run(made, 'PID|1||4711|||||""\r')

    assert outgoing.render(control_id="C1", now=datetime(2026, 1, 1, tzinfo=UTC)).split(b"\r")[1:] == [
        b'PID|||4711|||||""',
        b"",
    ]


def test_nested_mappings_of_list_items_and_of_parts() -> None:
    item = "from: fhir\nto: json\nwhen: value\nset: {id: value}"
    made = mapping(
        "from: fhir\nto: json\nset:\n  ids: {use: item, each: identifier}\n  first: {use: item, at: identifier}\n"
        "  none: {use: item, at: gone}\n  empty: {use: item, each: gone}",
        item=item,
    )

    (fact,) = run(made, {"identifier": [{"value": "1"}, {"system": "x"}, {"value": "3"}]})

    assert fact["ids"] == ({"id": "1"}, {"id": "3"})
    assert "none" not in fact
    assert fact["empty"] == ()


def test_only_messages_are_grouped_by_segments() -> None:
    _, flaws = built(main="from: event\nto: json\neach: [ORC, OBR]\nset: {a: patient.key}")

    assert flaws == ["mappings/main.yaml:3:7: error CFG-106: 'each' must be the path of a list"]


def test_each_and_at_go_with_use() -> None:
    _, flaws = built(main="from: fhir\nto: json\nset: {a: {value: b, each: c}}")

    assert flaws == ["mappings/main.yaml:3:10: error CFG-106: 'set.a' must be a use when it has each or at"]


def test_structured_data_is_not_text() -> None:
    made = mapping("from: fhir\nto: hl7v2\nmessage: ADT^A08\nset: {PID-5: name, PID-8: gender | upper}")

    assert fault(made, {"resourceType": "Patient", "name": [{"family": "X"}]})[:3] == (
        "MAP-203",
        "rule 1: Patient.name is not one value",
        "Patient.name",
    )
    assert fault(made, {"resourceType": "Patient", "gender": {"a": 1}})[:3] == (
        "MAP-203",
        "rule 2: Patient.gender is not a valid text",
        "Patient.gender",
    )


def test_an_identifier_field_takes_identifiers_only() -> None:
    made = mapping("from: hl7v2\nto: patient\nset: {identifiers: PID-3}")

    assert fault(made, "PID|1||4711\r")[:2] == (
        "MAP-203",
        "rule 1: PID-3 is not a list of identifiers; use the function identifiers",
    )


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        (
            {
                "resourceType": "ServiceRequest",
                "subject": {"reference": "#p"},
                "contained": [{"id": "p", "resourceType": "Patient"}],
            },
            True,
        ),
        (
            {
                "resourceType": "ServiceRequest",
                "subject": {"reference": "#q"},
                "contained": [{"id": "p", "resourceType": "Patient"}],
            },
            False,
        ),
        ({"resourceType": "ServiceRequest", "subject": {"reference": "#p"}, "contained": "odd"}, False),
        ({"resourceType": "ServiceRequest"}, False),
        ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}, False),
        (
            {
                "resourceType": "Bundle",
                "entry": [
                    "odd",
                    {"resource": {"resourceType": "ServiceRequest"}},
                    {"resource": {"resourceType": "Patient"}},
                ],
            },
            True,
        ),
    ],
)
def test_the_source_of_an_order_has_its_patient(resource: dict[str, Any], patient: bool) -> None:
    assert ("patient" in source_of(resource)) is patient
