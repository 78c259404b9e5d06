"""`isthmus check` and `isthmus map`: what a person sees, and with which exit code."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from engine.cli.main import main
from engine.config.check import run_tests
from engine.config.site import load_site

REPOSITORY = Path(__file__).resolve().parents[2]
HL7 = REPOSITORY / "samples" / "hl7"


def run(*arguments: str | Path, **environ: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env={"ISTHMUS_SITE": "", **environ})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def failures(folder: Path, test: str, *, beside: str = "mappings/patient-from-hl7") -> list[str]:
    """Return the findings of one test that a site adds beside a shipped file."""
    path = folder / f"{beside}.test.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(test)
    return [str(finding) for finding in run_tests(load_site(folder, environ={})).findings]


def test_check_of_the_shipped_site() -> None:
    code, output = run("check")

    assert code == 0
    assert output.endswith(": ok\n")
    assert re.match(r"[1-9][0-9]* routes, [1-9][0-9]* mappings, [1-9][0-9]* tables, [1-9][0-9]* tests: ", output)


def test_check_says_what_is_wrong_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "isthmus.yaml").write_text("site: {nam: X}\n")

    code, output = run("check", tmp_path)

    assert code == 1
    assert output == "isthmus.yaml:1:8: error CFG-104: unknown key 'nam' under 'site'; did you mean 'name'?\n"


def test_check_as_json(tmp_path: Path) -> None:
    (tmp_path / "isthmus.yaml").write_text("site: {nam: X}\n")

    wrong = run("check", tmp_path, "--format", "json")
    right = run("check", "--format", "json")

    assert wrong[0] == 1
    assert [finding["code"] for finding in orjson.loads(wrong[1])] == ["CFG-104"]
    assert (right[0], orjson.loads(right[1])) == (0, [])


def test_check_of_what_is_no_folder_is_wrong_use(tmp_path: Path) -> None:
    assert run("check", tmp_path / "gone")[0] == 2


def test_a_failed_test_stops_check_with_1(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "patient-from-hl7.test.yaml").write_text(
        "- name: wrong\n  given: samples/hl7/adt-a01.hl7\n  expect: {sex: M}\n"
    )

    code, output = run("check", tmp_path)

    assert code == 1
    assert output == (
        "mappings/patient-from-hl7.test.yaml:3:11: error CFG-120: "
        "test 'wrong' failed: sex: 'M' was expected, 'F' came\n"
    )


@pytest.mark.parametrize(
    ("given", "expect", "reason"),
    [
        ("samples/hl7/adt-a01.hl7", "{birth_date: null}", "birth_date: an explicit null was expected, '19800229' came"),
        ("samples/hl7/adt-a08.hl7", "{birth_date: x}", "birth_date: 'x' was expected, an explicit null came"),
        ("samples/hl7/adt-a01.hl7", "{absent: [name]}", "name: nothing was expected"),
        ("samples/hl7/adt-a01.hl7", "{nam: x}", "nam: there is no such field"),
        (
            "samples/hl7/adt-a01.hl7",
            "{'identifiers[3].value': 1}",
            "identifiers[3].value: 1 was expected, nothing came",
        ),
        ("samples/hl7/adt-a01.hl7", "[]", "0 results were expected, 1 came"),
        ("samples/hl7/adt-a01.hl7", "{error: HL7-111}", "error HL7-111 was expected, 1 results came"),
        (
            "samples/hl7/orm-o01-no-patient-id.hl7",
            "{}",
            "no error was expected, but HL7-111: PID-3 is required at PID^1^3",
        ),
        (
            "samples/hl7/orm-o01-no-patient-id.hl7",
            "{error: MAP-203}",
            "error MAP-203 was expected, but HL7-111: PID-3 is required at PID^1^3",
        ),
        (
            "samples/hl7/orm-o01-no-patient-id.hl7",
            "{error: HL7-111, where: PID^2}",
            "where 'PID^2' was expected, but HL7-111: PID-3 is required at PID^1^3",
        ),
        ("samples/hl7/gone.hl7", "{}", "'samples/hl7/gone.hl7' does not exist in the site"),
        ("../../etc/passwd", "{}", "'../../etc/passwd' does not exist in the site"),
        ("{}", "{}", "given must be a file, text, event or resource"),
    ],
)
def test_how_a_test_fails(tmp_path: Path, given: str, expect: str, reason: str) -> None:
    found = failures(tmp_path, f"- name: t\n  given: {given}\n  expect: {expect}\n")

    assert found == [f"mappings/patient-from-hl7.test.yaml:3:11: error CFG-120: test 't' failed: {reason}"]


def test_a_test_of_a_message_compares_places_and_text(tmp_path: Path) -> None:
    test = "- name: t\n  given: samples/event/study-completed.json\n  expect: {%s}\n"
    beside = "mappings/omg-o19-from-study"

    (found,) = failures(tmp_path, test % "ORC-1: SC, segments: [MSH]", beside=beside)
    assert found == (
        "mappings/omg-o19-from-study.test.yaml:3:11: error CFG-120: test 't' failed: segments: ['MSH'] was expected, "
        "['MSH', 'PID', 'PV1', 'ORC', 'TQ1', 'OBR', 'OBX', 'OBX', 'OBX', 'OBX'] came"
    )
    assert "text: 'x' was expected" in failures(tmp_path, test % "text: x", beside=beside)[0]
    assert "PID-5: nothing was expected" in failures(tmp_path, test % "absent: [PID-5]", beside=beside)[0]


def test_a_test_of_a_route_says_whether_it_matches(tmp_path: Path) -> None:
    test = "- name: t\n  given: samples/hl7/adt-a01.hl7\n  expect: {%s}\n"
    beside = "routes/patients-from-his"

    assert failures(tmp_path, test % "matches: true, sex: F", beside=beside) == []
    assert "matches: false was expected" in failures(tmp_path, test % "matches: false", beside=beside)[0]
    assert "order_key: 'x' was expected, '' came" in failures(tmp_path, test % "order_key: x", beside=beside)[0]


def test_a_test_file_with_an_unknown_key(tmp_path: Path) -> None:
    assert failures(tmp_path, "- name: t\n  givn: x\n  expect: {}\n") == [
        "mappings/patient-from-hl7.test.yaml:1:3: error CFG-105: 'tests[0].given' is required",
        "mappings/patient-from-hl7.test.yaml:2:3: error CFG-104: unknown key 'givn' under 'tests[0]'; "  # noqa: ISC004
        "did you mean 'given'?",
    ]


def test_map_shows_a_fact_without_what_nobody_said() -> None:
    code, output = run("map", "patient-from-hl7", HL7 / "adt-a08.hl7")

    assert code == 0
    assert orjson.loads(output) == {
        "identifiers": [{"value": "4711", "issuer": "HOSP"}],
        "name": "TEST^ALPHA^MARIE",
        "birth_date": {"erase": True},
        "sex": "F",
        "visit": {"number": "VN1001", "issuer": "HOSP", "class_code": "I", "location": "WARD1 ROOM2 BED3"},
        "event": "A08",
        "recorded_at": "20261121080200",
    }


def test_map_explains_each_field() -> None:
    code, output = run("map", "patient-from-hl7", HL7 / "adt-a08.hl7", "--explain")

    assert code == 0
    lines = [line.split() for line in output.splitlines()]
    assert ["birth_date", "(erased)", "PID-7", "mappings/patient-from-hl7.yaml:7"] in lines
    assert ["visit.number", "VN1001", "PV1-19.1", "mappings/visit-from-hl7.yaml:6"] in lines


def test_map_shows_a_message_line_by_line() -> None:
    code, output = run("map", "omg-o19-from-study", REPOSITORY / "samples" / "event" / "study-completed.json")

    assert code == 0
    assert output.splitlines()[1] == "PID|1||4711^^^HOSP^MR||TEST^ALPHA^^^DR^^L||19800229|F"


@pytest.mark.parametrize(
    ("name", "file", "output"),
    [
        ("gone", "adt-a01.hl7", "isthmus: CFG-112: 'gone.yaml' does not exist under mappings/\n"),
        ("order-from-hl7", "orm-o01-no-patient-id.hl7", "isthmus: HL7-111: PID-3 is required at PID^1^3\n"),
        (
            "order-from-hl7",
            "garbage.hl7",
            "isthmus: HL7-101: message must start with MSH and different delimiters\n",
        ),
    ],
)
def test_map_refuses_in_words(name: str, file: str, output: str) -> None:
    assert run("map", name, HL7 / file) == (1, output)


def test_map_says_when_a_message_is_left_out() -> None:
    code, output = run("map", "visit-from-hl7", HL7 / "orm-o01.hl7")

    assert (code, output) == (0, "nothing: the mapping's `when:` leaves this out\n")


def test_help_names_the_commands() -> None:
    code, output = run("--help")

    assert code == 0
    assert "check" in output
    assert run("gone")[0] == 2
