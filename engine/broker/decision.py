"""What applying a fact needs and gives, and how a decision is written: shared by every kind of message."""

from __future__ import annotations

from dataclasses import dataclass

from engine.blobs.store import BlobStore
from engine.broker.outbox import Wake, tell
from engine.config.site import Site
from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.records.record import ImagingOrder
from engine.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What applying needs besides the unit: the site's files, and whom to wake after the commit."""

    site: Site
    wake: Wake
    silent: bool = False
    """Tell nobody: the message loads what is already known elsewhere (MSH-11.2 is I)."""
    blobs: BlobStore | None = None
    """Where documents inside messages are kept; None for sources that carry none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of one fact. `held` when a person must look first; `notes` are for the sender."""

    held: bool
    declined: bool = False
    """What was asked for was not done."""
    ignored: bool = False
    """Nothing was to be done."""
    notes: tuple[str, ...] = ()
    patient_id: RowId | None = None
    order_id: RowId | None = None
    order: ImagingOrder | None = None
    """As the fact left it; None where something that waited, or another fact, may have moved it since."""


def write_change(unit: Unit, change: Change, desk: Desk) -> None:
    """Write a decision: records, events, and the notices that the events call for."""
    unit.insert(change.new.values())
    unit.update(change.changed.values())
    unit.insert(change.events)
    if not desk.silent:
        tell(unit, change.events, desk.site, desk.wake)
