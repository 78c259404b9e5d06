"""What a mapping gives back: facts or messages, and on request where each value came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.mapping.explained import Explained
from engine.mapping.outgoing import Outgoing
from engine.records.fact import OrderFact, PatientFact

Made = OrderFact | PatientFact | Outgoing | dict[str, Any]
"""`to: order`, `to: patient`, `to: hl7v2`, and `to: fhir` or `to: json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One thing that a mapping made of a message."""

    fact: Made
    explain: tuple[Explained, ...] = ()
    """In order of the rules; empty unless asked for."""
