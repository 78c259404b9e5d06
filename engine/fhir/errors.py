"""Why a FHIR request is refused. One finding is an `Issue`; a refusal carries all that were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core.errors import PeerError

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One finding: our code, words without values, and where.

    Source: FHIR R4 OperationOutcome.issue.
    """

    code: str
    """docs/errors.md; "" for a note that is no refusal."""
    text: str
    where: str = ""
    """FHIRPath of the element; "" when the whole request is meant."""
    kind: str = ""
    """IssueType; "" takes that of the code."""
    severity: Severity = "error"


class ResourceRefused(PeerError):
    """The request cannot be carried out; `issues` say why, the first one decides the status."""

    code = "FHIR-110"

    def __init__(self, issues: Sequence[Issue], *, kept_text: str = "") -> None:
        self.issues = tuple(issues)
        first = self.issues[0]
        self._kept_text = kept_text or first.text
        super().__init__(first.text, where=first.where or None, code=first.code)

    @property
    def kept_text(self) -> str:
        """The first finding's words, as our own journal keeps them."""
        return self._kept_text


def refused(code: str, text: str, *, where: str = "", kind: str = "") -> ResourceRefused:
    """Return a refusal with a single finding."""
    return ResourceRefused([Issue(code=code, text=text, where=where, kind=kind)])
