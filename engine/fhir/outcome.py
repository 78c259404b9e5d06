"""OperationOutcome: how a refusal, a warning or a note is said.

Source: FHIR R4 OperationOutcome; spec sheet fhir.md section 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core.errors import EngineError, InvariantError
from engine.core.outcomes import outcome_of
from engine.fhir.errors import Issue, ResourceRefused, Severity
from engine.fhir.system import OUTCOME_CODE


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """Return the resource that says these findings, in their order."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def status_of(issues: Sequence[Issue]) -> int:
    """Return the HTTP status of a refusal: that of its first finding."""
    return outcome_of(issues[0].code).http or 500


def issues_of(error: EngineError) -> tuple[Issue, ...]:
    """Return the findings of an error; of a bug nothing is said but its code."""
    if isinstance(error, ResourceRefused):
        return error.issues
    if isinstance(error, InvariantError):
        return (Issue(code=error.code, text="unforeseen; the incident was logged", severity="fatal"),)
    return (Issue(code=error.code, text=error.text, where=error.where or ""),)


def note(text: str, *, severity: Severity = "information", kind: str = "") -> Issue:
    """Return a finding that is no refusal: a warning about a business rule, or plain information."""
    kind = kind or ("business-rule" if severity == "warning" else "informational")
    return Issue(code="", text=text, kind=kind, severity=severity)


def _issue(issue: Issue) -> dict[str, Any]:
    details: dict[str, Any] = {"text": issue.text}
    if issue.code:
        details["coding"] = [{"system": OUTCOME_CODE, "code": issue.code}]
    said: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.kind or outcome_of(issue.code).fhir or "processing",
        "details": details,
        "diagnostics": issue.text,
    }
    if issue.where:
        said["expression"] = [issue.where]
    return said
