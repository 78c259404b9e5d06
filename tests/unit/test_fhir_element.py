"""Data types of FHIR made of DICOM values, search tokens, and refusals as OperationOutcome."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.core.errors import InvariantError
from engine.fhir import element
from engine.fhir.errors import Issue
from engine.fhir.outcome import issues_of, note, operation_outcome, status_of
from engine.fhir.token import Token, alternatives
from engine.fhir.validation import find_issues

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20261121", "2026-11-21"),
        ("2026112110", "2026-11-21T10:00:00+01:00"),
        ("202607211030", "2026-07-21T10:30:00+02:00"),
        ("20260721103015.123", "2026-07-21T10:30:15+02:00"),
        ("20261231235960", "2026-12-31T23:59:59+01:00"),
        ("202607211030-0500", "2026-07-21T10:30:00-05:00"),
        ("2026", "2026"),
        ("202611", "2026-11"),
        ("2026113199", ""),
        ("", ""),
        ("soon", ""),
    ],
)
def test_a_dicom_time_becomes_a_fhir_time_with_seconds_and_offset(value: str, expected: str) -> None:
    assert element.date_time(value, BERLIN) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "TEST^ALPHA^MARIE ANN^DR^JR",
            {"family": "TEST", "given": ["ALPHA", "MARIE", "ANN"], "prefix": ["DR"], "suffix": ["JR"]},
        ),
        ("TEST", {"family": "TEST"}),
        ("^ALPHA", {"given": ["ALPHA"]}),
        ("TEST^ALPHA=X^Y", {"family": "TEST", "given": ["ALPHA"]}),
        ("", {}),
    ],
)
def test_a_person_name_becomes_a_human_name(name: str, expected: dict[str, Any]) -> None:
    assert element.human_name(name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1", Token(None, "A1")),
        ("urn:oid:1.2|A1", Token("urn:oid:1.2", "A1")),
        ("|A1", Token("", "A1")),
        ("urn:oid:1.2|", Token("urn:oid:1.2", "")),
        ("A\\|1", Token(None, "A|1")),
        ("s|A\\,1\\\\", Token("s", "A,1\\")),
    ],
)
def test_a_token_is_read(text: str, expected: Token) -> None:
    assert Token.parse(text) == expected


def test_alternatives_part_at_commas_that_are_not_escaped() -> None:
    assert alternatives("A,B\\,C,,D\\\\,E") == ["A", "B\\,C", "D\\\\", "E"]


def test_an_outcome_is_a_valid_resource_and_its_status_that_of_the_first_finding() -> None:
    issues = [Issue(code="FHIR-113", text="required", where="ServiceRequest.subject"), note("mind", severity="warning")]

    outcome = operation_outcome(issues)

    assert find_issues(outcome, "OperationOutcome") == []
    assert [issue["code"] for issue in outcome["issue"]] == ["required", "business-rule"]
    assert outcome["issue"][0]["expression"] == ["ServiceRequest.subject"]
    assert status_of(issues) == 422


def test_of_a_bug_nothing_is_told() -> None:
    (issue,) = issues_of(InvariantError("unforeseen KeyError in 4711"))

    assert "4711" not in issue.text
    assert issue.severity == "fatal"
