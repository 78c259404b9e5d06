"""How late the event loop is: whoever blocks it shows here."""

from __future__ import annotations

import asyncio

from engine.core.clock import Clock

_EVERY_S = 0.1


class LoopLag:
    """Measures how much later than asked the loop wakes up [s]."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last_s = 0.0
        self.worst_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            asked = self._clock.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.last_s = max(self._clock.monotonic() - asked, 0.0)
            self.worst_s = max(self.worst_s, self.last_s)
