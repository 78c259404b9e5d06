"""A mapping: compiled once, run per message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from engine.hl7.message import Message
from engine.mapping.context import Context
from engine.mapping.result import Result

Source = Message | dict[str, Any]
"""An HL7 message; or a FHIR resource or event as plain data."""
SourceKind = Literal["hl7v2", "fhir", "event"]
TargetKind = Literal["order", "patient", "visit", "step", "hl7v2", "fhir", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """What stands in one file under mappings/."""

    name: str
    file: str
    source: SourceKind
    target: TargetKind

    def run(self, source: Source, context: Context, *, explain: bool = False) -> list[Result]:
        """Return what the message becomes: one result per group of `each:`, none where `when:` says no.

        Raises:
            MappingFault: MAP-201, MAP-202, MAP-203, MAP-205, HL7-111, HL7-112, FHIR-113.
        """
        raise NotImplementedError
