"""What reading one order costs, before anything is decided about it: ours and hl7apy's, side by side.

Reading is the view, MSH, the choice of a route and ten fields of an ORM^O01 of about 1 KB. hl7apy gets the same text,
made easy for it (CR, no groups, its most tolerant level), and has no routes to choose from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from engine.config.route import Route
from engine.config.site import load_site
from engine.hl7.message import Message, check_head
from tests.bench.orders import orders

MOST_US: Final = 60.0
LEAST_TIMES: Final = 100.0
FIELDS: Final = (
    *("PID-3.1", "PID-3.4", "PID-5.1", "PID-5.2", "PID-7"),
    *("ORC-1", "OBR-4.1", "OBR-18", "OBR-24", "ZDS-1.1"),
)
_ROUNDS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """CPU time for one message [µs]; the best of several rounds, so that other programs do not count."""

    message_bytes: int
    view_us: float
    head_us: float
    """View and MSH."""
    route_us: float
    """View, MSH and route."""
    fields_us: float
    """View, MSH, route and ten fields: what the target is about."""
    mapped_us: float
    """View, MSH, route and the whole mapping of the order."""
    hl7apy_us: float
    """Parsing and ten fields."""

    @property
    def times(self) -> float:
        """Return how many times longer hl7apy takes."""
        return self.hl7apy_us / self.fields_us

    @property
    def is_fast_enough(self) -> bool:
        """Whether both targets are met."""
        return self.fields_us <= MOST_US and self.times >= LEAST_TIMES

    def __str__(self) -> str:
        return (
            f"reading an ORM of {self.message_bytes} bytes [µs CPU]: view {self.view_us:.1f}, "
            f"+ MSH {self.head_us:.1f}, + route {self.route_us:.1f}, "
            f"+ ten fields {self.fields_us:.1f} (at most {MOST_US:.0f}); "
            f"with the whole mapping {self.mapped_us:.0f}\n"
            f"hl7apy, parsing and ten fields: {self.hl7apy_us:,.0f} µs, {self.times:,.0f} times as long "
            f"(at least {LEAST_TIMES:.0f})"
        )


def measure(scale: float = 1.0) -> Reading:
    """Return what reading costs on this machine; every way of reading must find the same ten values.

    Raises:
        RuntimeError: hl7apy and we do not read the same.
    """
    site = load_site(None, environ={})
    context, routes = site.context(), site.message_routes("mllp", "his")
    body = orders("BR", 1)[0].message(datetime.now(UTC))

    def view() -> Message:
        message = Message.parse(body)
        message.first("MSH")
        return message

    def head() -> Message:
        message = view()
        check_head(message)
        assert (message.type, message.trigger, message.processing_id) == ("ORM", "O01", "P")
        assert "" not in (message.control_id, message.version, *message.sender)
        return message

    def routed() -> tuple[Message, Route]:
        message = head()
        (taken,) = [route for route in routes if route.matches(message, context)]
        return message, taken

    def ten() -> list[str | None]:
        message, _ = routed()
        return [message.get(path) for path in FIELDS]

    def mapped() -> None:
        message, route = routed()
        assert route.mapping is not None
        route.mapping.run(message, context)

    if _with_hl7apy(body) != ten():
        raise RuntimeError("hl7apy and the view do not read the same values")
    times = max(50, int(2_000 * scale))
    return Reading(
        message_bytes=len(body),
        view_us=_best_us(view, times),
        head_us=_best_us(head, times),
        route_us=_best_us(routed, times),
        fields_us=_best_us(ten, times),
        mapped_us=_best_us(mapped, max(50, times // 5)),
        hl7apy_us=_best_us(lambda: _with_hl7apy(body), max(1, times // 500)),
    )


def _with_hl7apy(body: bytes) -> list[str | None]:
    message = parse_message(body.decode(), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    values: list[str | None] = []
    for path in FIELDS:
        segment, _, place = path.partition("-")
        number, _, component = place.partition(".")
        field = getattr(getattr(message, segment.lower())[0], f"{segment.lower()}_{number}")[0]
        repetition: str = field.to_er7()
        values.append(repetition.split("^")[int(component or 1) - 1] if component else repetition)
    return values


def _best_us(call: Callable[[], object], times: int) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.thread_time()
        for _ in range(times):
            call()
        best = min(best, time.thread_time() - started)
    return best / times * 1e6
