"""Who may come in to one DICOM listener, how many at once, and what was done.

Source: spec/reliability.md sections 4 and 9; DICOM PS3.8 section 9.3.4 for the reasons.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from engine.connectors.dicom.service import Service
from engine.core.limits import Limits
from engine.dicom.negotiation import (
    CALLED_AE_UNKNOWN,
    CALLING_AE_UNKNOWN,
    CONGESTED,
    TOO_MANY_ASSOCIATIONS,
    refusal,
)
from engine.dicom.pdu import AssociateReject, AssociateRequest

_WAITING_SHARE: Final = 4
"""Connections per allowed association, so that those over the limit are still told why."""


class Guest(Protocol):
    """A connection of the listener."""

    closed: asyncio.Future[None]
    """Done when the connection is gone."""
    gone: asyncio.Future[None]
    """Done when nothing is being worked on for it either."""

    def drain_out(self) -> None:
        """End as soon as nothing is being worked on."""
        ...

    def cut(self) -> None:
        """End now."""
        ...


class Admission:
    """The door of one listener."""

    def __init__(
        self,
        *,
        name: str,
        ae_title: str,
        services: Sequence[Service],
        limits: Limits,
        strict_ae: bool,
        allowed_calling: frozenset[str] | None,
    ) -> None:
        self.name = name
        self.services = tuple(services)
        self.limits = limits
        self.guests: set[Guest] = set()
        self.open_associations = 0
        self.accepted_associations = 0
        self.refused_associations = 0
        self.requests: Counter[int] = Counter()
        """Requests answered, by Command Field."""
        self.refusals: Counter[int] = Counter()
        """Those of them that were refused."""
        self.is_draining = False
        self._ae_title = ae_title.strip()
        self._strict_ae = strict_ae
        self._allowed_calling = allowed_calling
        self._by_ae: Counter[str] = Counter()
        self._last_id = 0

    def next_association_id(self) -> int:
        """Return a number for logs, unique within the listener since it started."""
        self._last_id += 1
        return self._last_id

    def refusal(self, request: AssociateRequest) -> tuple[AssociateReject, str] | None:
        """Return how an association is refused, and the code of why; None lets it in."""
        found = self._reason(request)
        if found is not None:
            self.refused_associations += 1
        return found

    def _reason(self, request: AssociateRequest) -> tuple[AssociateReject, str] | None:
        provider = refusal(request)
        if provider is not None:
            return provider[0], provider[1].code
        if self._strict_ae and request.called_ae != self._ae_title:
            return CALLED_AE_UNKNOWN, "SEC-120"
        if self._allowed_calling is not None and request.calling_ae not in self._allowed_calling:
            return CALLING_AE_UNKNOWN, "SEC-121"
        if self.is_draining:
            return CONGESTED, "NET-121"
        if (
            self.open_associations >= self.limits.associations
            or self._by_ae[request.calling_ae] >= self.limits.associations_per_ae
        ):
            return TOO_MANY_ASSOCIATIONS, "NET-120"
        return None

    def joined(self, guest: Guest) -> bool:
        """Take note of a connection; False when there are too many even to listen to."""
        self.guests.add(guest)
        return len(self.guests) <= self.limits.associations * _WAITING_SHARE

    def left(self, guest: Guest) -> None:
        """Forget a connection."""
        self.guests.discard(guest)

    def accepted(self, calling_ae: str) -> None:
        """Count an association."""
        self.open_associations += 1
        self.accepted_associations += 1
        self._by_ae[calling_ae] += 1

    def ended(self, calling_ae: str) -> None:
        """Count the end of an association."""
        self.open_associations -= 1
        self._by_ae[calling_ae] -= 1
        if not self._by_ae[calling_ae]:
            del self._by_ae[calling_ae]

    def answered(self, operation: int, *, is_refused: bool) -> None:
        """Count a request that was answered."""
        self.requests[operation] += 1
        self.refusals[operation] += is_refused
