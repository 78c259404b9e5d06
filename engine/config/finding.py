"""What a check says: one finding per thing to mend, with its place, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import orjson

from engine.mapping.place import Flaw, Severity


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`{file}:{line}:{column}: {error|warning} {code}: {text}`; line and column count from 1."""

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    text: str

    @classmethod
    def of(cls, flaw: Flaw) -> Finding:
        """Return a flaw of the mapping language as a finding."""
        place = flaw.place
        return cls(place.file, place.line, place.column, flaw.severity, flaw.code, flaw.text)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.code}: {self.text}"


def as_json(findings: Iterable[Finding]) -> str:
    """Return findings as a JSON list of objects."""
    return orjson.dumps([asdict(finding) for finding in findings], option=orjson.OPT_INDENT_2).decode()
