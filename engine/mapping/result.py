"""What a mapping gives back: facts or messages, and on request where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.hl7.acknowledgement import Problem
from engine.hl7.message import Segment
from engine.mapping.copied import Copied
from engine.mapping.explained import Explained
from engine.mapping.outgoing import Outgoing
from engine.records.fact import AppointmentFact, MergeFact, OrderFact, PatientFact, ReportFact

Made = OrderFact | PatientFact | MergeFact | ReportFact | AppointmentFact | Outgoing | Copied | dict[str, Any]
"""`to: order`, `patient`, `merge`, `report`, `appointment`, `hl7v2`, and `fhir` or `json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One thing that a mapping made of a message."""

    fact: Made
    explain: tuple[Explained, ...] = ()
    """In order of the rules; empty unless asked for."""
    members: Sequence[Segment] = ()
    """The segments of its group, for HL7."""
    warnings: Sequence[Problem] = ()
    """What the mapping left out, to tell the sender; all of severity W."""
