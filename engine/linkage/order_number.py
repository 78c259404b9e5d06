"""The numbers of an order: by which of them a message can find it, and which one stands in for an accession number.

Source: spec/hl7.md section 7.4, spec/workflow.md section 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.control import control_of
from engine.records.explicit import Stated, plain
from engine.records.fact import OrderFact
from engine.records.record import ImagingOrder, OrderIdentifier

SH = 16
"""Most characters of a DICOM SH value."""

Number = tuple[str, str, str]
"""(kind, value, issuer); kind is placer, filler or accession."""

_PLACING = frozenset({"NW", "SN", "RO", "PA"})


def order_numbers(said: OrderFact) -> list[Number]:
    """Return the numbers by which the order of a message can be found.

    A new order without an accession number gets one of its other numbers as such, so nobody else may have it.
    """
    numbers = stated_numbers(said)
    made = made_accession(said)
    if made is not None and not plain(said.accession_number) and control_of(said) in _PLACING:
        numbers.append(("accession", *made))
    return numbers


def stated_numbers(said: OrderFact) -> list[Number]:
    """Return the numbers that a message states."""
    return _stated(
        ("placer", said.placer_number, said.placer_issuer),
        ("filler", said.filler_number, said.filler_issuer),
        ("accession", said.accession_number, said.accession_issuer),
    )


def parent_numbers(said: OrderFact) -> list[Number]:
    """Return the numbers of the parent order that a child names (ORC-8)."""
    return _stated(
        ("placer", said.parent_placer_number, said.parent_placer_issuer),
        ("filler", said.parent_filler_number, said.parent_filler_issuer),
    )


def _stated(*numbers: tuple[str, Stated, Stated]) -> list[Number]:
    return [(kind, plain(value), plain(issuer)) for kind, value, issuer in numbers if plain(value)]


def made_accession(said: OrderFact) -> tuple[str, str] | None:
    """Return (value, issuer) of the number that stands in for an accession number; None when none is short enough."""
    for number, issuer in ((said.filler_number, said.filler_issuer), (said.placer_number, said.placer_issuer)):
        if 0 < len(plain(number)) <= SH:
            return (plain(number), plain(issuer))
    return None


def accession_of(said: OrderFact, order_id: RowId) -> tuple[str, str]:
    """Return (value, issuer) of a new order's accession number: stated, another number, or made of its row."""
    stated = plain(said.accession_number)
    if stated:
        return (stated, plain(said.accession_issuer))
    return made_accession(said) or (f"A{order_id:08d}", "")


def add_numbers(
    order: ImagingOrder, numbers: Iterable[Number], there: Sequence[OrderIdentifier], change: Change
) -> tuple[OrderIdentifier, ...]:
    """Return the numbers that an order did not have yet, written to `change`."""
    known = {(each.kind, each.value, each.issuer) for each in there}
    added = tuple(
        OrderIdentifier(id=change.act.new_id(), order_id=order.id, kind=kind, value=value, issuer=issuer)
        for kind, value, issuer in dict.fromkeys(numbers)
        if (kind, value, issuer) not in known
    )
    for identifier in added:
        change.create(identifier)
    return added
