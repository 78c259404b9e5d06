"""The socket side of one association, for acceptor and requestor alike: read, pause, write, watch the clock.

Bytes go to the sans-I/O `Association`; its events go to `handled`, one at a time and in order. An event that cannot be
taken yet stays queued, and then nothing more is read: at most one buffer of the peer's bytes is held.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Final

from engine.core.limits import Limits
from engine.dicom.association import Association, Event
from engine.dicom.errors import AssociationError, AssociationTimeout
from engine.dicom.pdu import Abort
from engine.dicom.upper_layer import State

READ_BYTES: Final = 256 * 1024
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


class Connection(asyncio.BufferedProtocol):
    """One TCP connection that carries one association."""

    def __init__(self, *, is_requestor: bool, limits: Limits) -> None:
        self.limits = limits
        self.association = Association(is_requestor=is_requestor, limits=limits)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._events: deque[Event] = deque()
        self._is_paused = False
        self._is_flushing = False
        self._writable: asyncio.Future[None] | None = None
        self._connected_at = 0.0
        self._active_at = 0.0
        self._open_pdu = -1
        self._open_since = 0.0
        self._over_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- for the two kinds of connection -----------------------------------------------------------------------------

    def handled(self, event: Event) -> bool:
        """Take one event; return False to get it again when `pump` is called."""
        raise NotImplementedError

    def ended(self, error: AssociationError | None) -> None:
        """Hear that the connection is gone, or that the association was aborted by us because of `error`."""
        raise NotImplementedError

    def is_working(self) -> bool:
        """Whether the peer waits for us, so that its silence is no offence."""
        raise NotImplementedError

    # -- asyncio -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock; small writes leave at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        self._socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._active_at = self._connected_at = self._loop.time()
        self._watch()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer the one buffer; it is free whenever reading is not paused."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Feed what arrived to the association."""
        association = self.association
        if _QUICKACK is not None and self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        now = self._active_at = self._loop.time()
        self._events.extend(association.receive(self._buffer[:nbytes]))
        if association.is_mid_pdu and association.pdus_read != self._open_pdu:
            self._open_pdu = association.pdus_read
            self._open_since = now
        self.pump()

    def pause_writing(self) -> None:
        """Hear that the peer does not read."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Hear that the peer reads again."""
        self._active_at = self._loop.time()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything that belongs to the connection."""
        self._transport = None
        self.association.connection_lost()
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        self._events.clear()
        self.ended(None)
        if not self.closed.done():
            self.closed.set_result(None)

    # -- what the two kinds use --------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return self._transport is not None

    @property
    def address(self) -> str:
        """Network address of the peer; "" when it has gone."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    def pump(self) -> None:
        """Hand on what is queued, then write what came of it, then read on if nothing had to wait."""
        events = self._events
        try:
            while events and self.handled(events[0]):
                if events:  # the end of the association has emptied the queue meanwhile
                    events.popleft()
        except AssociationError as error:
            self.abort(error)
        self.flush()
        if events and not self._is_paused:
            self._is_paused = True
            self._pause(reading=False)
        elif self._is_paused and not events:
            self._is_paused = False
            self._active_at = self._open_since = self._loop.time()
            self._pause(reading=True)

    def flush(self) -> None:
        """Write what the association has to say, in one write."""
        data = self.association.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def flush_soon(self) -> None:
        """Write when the loop next turns: what is queued until then leaves together."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._is_flushing = False
        self.flush()

    async def drain(self) -> None:
        """Wait while the peer does not read; in any case let the loop turn once."""
        self.flush()
        if self._writable is None:
            await asyncio.sleep(0)
        else:
            await asyncio.shield(self._writable)

    def abort(self, error: AssociationError) -> None:
        """End the association because of what the peer did; it gets A-ABORT from the service provider."""
        self.association.abort(Abort(2, error.abort_reason))
        self._events.clear()
        self.ended(error)
        self.pump()

    def close(self) -> None:
        """Close after what is written has left."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close now, whatever is in flight."""
        if self._transport is not None:
            self._transport.abort()

    def _pause(self, *, reading: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # -- the clock ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the deadlines; one timer a connection, so that reading costs no timer."""
        now = self._loop.time()
        limits = self.limits
        due, allowed = self._deadline(now)
        if due <= now:
            if self.association.is_over:
                self.cut()
                return
            self.abort(AssociationTimeout(allowed))
        step = min(limits.association_request_s, limits.association_idle_s, limits.pdu_open_s) / 4
        self._timer = self._loop.call_at(max(min(due, now + step), now + step / 4), self._watch)

    def _deadline(self, now: float) -> tuple[float, float]:
        """Return when the peer must have moved, and how long that allows it [s]."""
        limits, association = self.limits, self.association
        if association.is_over:
            if self._over_at is None:
                self._over_at = now
            return self._over_at + limits.association_request_s, limits.association_request_s
        idle = self._active_at + limits.association_idle_s, limits.association_idle_s
        if self._writable is not None:
            return idle
        if self._is_paused or self.is_working():
            return now + limits.association_idle_s, limits.association_idle_s
        if association.state in (State.AWAITING_REQUEST_PDU, State.AWAITING_ACCEPT_OR_REJECT_PDU):
            return self._connected_at + limits.association_request_s, limits.association_request_s
        if association.is_mid_pdu:
            return min(idle, (self._open_since + limits.pdu_open_s, limits.pdu_open_s))
        return idle
