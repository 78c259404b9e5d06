"""What a site decides about orders: which modality and stations a code means, and how strict repeats are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from engine.linkage.control import Controls


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """One row of the procedure code map (spec/worklist.md section 7)."""

    modality: str = ""
    station_aes: tuple[str, ...] = ()
    description: str = ""


def _no_code(_sender: str, _system: str, _code: str) -> CodeEntry | None:
    return None


def _no_station(_modality: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPolicy:
    """A site's answers to what an order leaves open."""

    code: Callable[[str, str, str], CodeEntry | None] = _no_code
    """(sender, coding system, code) → entry, None when the map has no row."""
    stations: Callable[[str], tuple[str, ...]] = _no_station
    """modality → AE titles of its default station group."""
    timezone: tzinfo = UTC
    nw_as_update: bool = False
    """Whether a repeated NW with other content counts as XO; else it is refused with 205."""
    sender: str = ""
    controls: Controls = field(default_factory=dict)
    """What (ORC-1, ORC-5) mean to this sender where that differs from the table."""
    patient_flaw: str = ""
    """What of the patient a modality cannot be told, in words that begin with `patient`; "" when nothing."""
    numbers_orders: bool = False
    """Whether an order without any number gets one: only where the answer carries it back."""
