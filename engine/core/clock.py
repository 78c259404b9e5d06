"""Time as a port, so that a test can run a day in a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine asks the time of."""

    def now(self) -> datetime:
        """Return the wall clock, time-zone aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds [s] that never run backwards."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the wall clock, time-zone aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds [s] that never run backwards."""
        return time.monotonic()
