"""What is FHIR and what is not: shape, models, bindings, references, and the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.fhir.errors import ResourceRefused
from engine.fhir.json_guard import read_json
from engine.fhir.service_request import order_issues
from engine.fhir.validation import find_issues

VERDICTS = Path(__file__).with_name("fhir_corpus_verdicts.tsv")


def request(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "CT"},
        "subject": {"reference": "#p"},
        "contained": [{"resourceType": "Patient", "id": "p", "identifier": [{"value": "4711"}]}],
    }
    return made | changes


def found(resource: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(issue.code, issue.kind, issue.where) for issue in find_issues(resource, "ServiceRequest")]


def test_a_plain_order_is_valid() -> None:
    assert found(request()) == []


@pytest.mark.parametrize(
    ("changes", "kind", "where"),
    [
        ({"identifier": []}, "structure", "ServiceRequest.identifier"),
        ({"requester": {}}, "structure", "ServiceRequest.requester"),
        ({"priority": None}, "structure", "ServiceRequest.priority"),
        ({"identifier": {"value": "1"}}, "structure", "ServiceRequest.identifier"),
        ({"subject": '{"reference": "#p"}'}, "structure", "ServiceRequest.subject"),
        ({"subject": "Patient/1"}, "structure", "ServiceRequest.subject"),
        ({"resource_type": "x"}, "structure", "ServiceRequest.?"),
        ({"4711 TEST^ALPHA": "x"}, "structure", "ServiceRequest.?"),
        ({"orderDetail": [{"codings": []}]}, "structure", "ServiceRequest.orderDetail[0].codings"),
        ({"contained": [{"resourceType": "Nix", "id": "p"}]}, "structure", "ServiceRequest.contained[0].resourceType"),
        ({"contained": [{"id": "p"}]}, "structure", "ServiceRequest.contained[0].resourceType"),
        ({"contained": [{"resourceType": 7}]}, "structure", "ServiceRequest.contained[0].resourceType"),
        (
            {"contained": [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "id": "p"}]},
            "structure",
            "ServiceRequest.contained[1].id",
        ),
        ({"priority": ""}, "value", "ServiceRequest.priority"),
        ({"doNotPerform": "yes"}, "value", "ServiceRequest.doNotPerform"),
        ({"status": ["active"]}, "value", "ServiceRequest.status"),
        ({"note": [{"text": "a\u0000b"}]}, "value", "ServiceRequest.note[0].text"),
        ({"authoredOn": "2026-11-21T10:00Z"}, "value", "ServiceRequest.authoredOn"),
        ({"authoredOn": "2026-13-41"}, "value", "ServiceRequest.authoredOn"),
        ({"note": [{"authorString": "x"}]}, "required", "ServiceRequest.note[0].text"),
        ({"occurrenceDateTime": "2026", "occurrencePeriod": {"start": "2026"}}, "invariant", "ServiceRequest"),
        ({"subject": {"reference": "Practitioner/1"}}, "value", "ServiceRequest.subject"),
        ({"subject": {"type": "Practitioner", "identifier": {"value": "1"}}}, "value", "ServiceRequest.subject"),
        ({"performer": [{"reference": "#p"}, {"reference": "Task/1"}]}, "value", "ServiceRequest.performer[1]"),
        ({"encounter": {"reference": "http://x.example/fhir/Patient/1"}}, "value", "ServiceRequest.encounter"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_the_models_let_through_or_fall_over_is_found(changes: dict[str, Any], kind: str, where: str) -> None:
    assert ("FHIR-110", kind, where) in found(request(**changes))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"status": "foo"}, "ServiceRequest.status"),
        ({"intent": "Order"}, "ServiceRequest.intent"),
        ({"priority": "now"}, "ServiceRequest.priority"),
        (
            {"identifier": [{"use": "old", "value": "1"}, {"use": "x", "value": "2"}]},
            "ServiceRequest.identifier[1].use",
        ),
        (
            {"contained": [{"resourceType": "Patient", "id": "p", "gender": "F"}]},
            "ServiceRequest.contained[0].gender",
        ),
    ],
)
def test_codes_outside_a_required_value_set_are_found(changes: dict[str, Any], where: str) -> None:
    assert found(request(**changes)) == [("FHIR-114", "", where)]


def test_no_finding_repeats_a_value_of_the_resource() -> None:
    secret = "TEST^ALPHA 4711"
    broken = request(
        status=secret, authoredOn=secret, **{secret: secret}, priority=secret, occurrenceDateTime=secret, id=secret
    )

    said = repr(find_issues(broken, "ServiceRequest"))

    assert len(find_issues(broken, "ServiceRequest")) >= 5
    assert "TEST" not in said
    assert "4711" not in said


def test_another_resource_than_expected_is_found() -> None:
    assert found({"resourceType": "Patient"}) == [("FHIR-110", "structure", "resourceType")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xef\xbb\xbf{}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": 1} x',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "null", "bom", "quotes", "nan", "surrogate", "rest", "twice", "deep", "digits"],
)
def test_json_that_readers_would_guess_about_is_refused(body: bytes) -> None:
    with pytest.raises(ResourceRefused) as caught:
        read_json(body, depth=64)

    assert caught.value.code == "FHIR-101"


def test_json_is_read_up_to_the_depth_that_is_allowed() -> None:
    assert read_json(b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}", depth=64)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"modifierExtension": [{"url": "http://x.example"}]}, ["ServiceRequest.modifierExtension"]),
        ({"implicitRules": "http://x.example"}, ["ServiceRequest.implicitRules"]),
        ({"code": None, "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "363679005"}]}]}, []),
        ({"code": None, "category": [{"text": "laboratory"}]}, ["ServiceRequest.code"]),
        ({"status": "unknown"}, ["ServiceRequest.status"]),
    ],
)
def test_rules_of_orders(changes: dict[str, Any], where: list[str]) -> None:
    assert [issue.where for issue in order_issues(request(**changes))] == where


def verdict(path: Path) -> tuple[str, str]:
    """Return (`valid` or our code and IssueType, FHIRPath) of the first finding about a file."""
    try:
        resource = read_json(path.read_bytes(), depth=64)
    except ResourceRefused as refused:
        return refused.code, ""
    issues = find_issues(resource, str(resource.get("resourceType")))
    if not issues:
        return "valid", ""
    return f"{issues[0].code} {issues[0].kind}".strip(), issues[0].where


def recorded() -> list[tuple[str, str, str]]:
    lines = VERDICTS.read_text("utf-8").splitlines()[1:]
    return [(name, code, where) for name, code, where in (line.split("\t") for line in lines)]


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "code", "where"), recorded(), ids=[name for name, _, _ in recorded()])
def test_the_verdict_on_a_resource_of_the_corpus_is_the_recorded_one(
    corpus: Path, name: str, code: str, where: str
) -> None:
    assert verdict(corpus / "fhir" / name) == (code, where)


@pytest.mark.corpus
def test_every_order_patient_and_study_of_the_corpus_has_a_verdict(corpus: Path) -> None:
    named = {name for name, _, _ in recorded()}
    for path in (corpus / "fhir").rglob("*.json"):
        try:
            kind = json.loads(path.read_bytes()).get("resourceType")
        except ValueError:
            continue
        if kind in ("ServiceRequest", "Patient", "ImagingStudy"):
            assert str(path.relative_to(corpus / "fhir")) in named
