"""One accepted connection: frames in, answers out in the same order, and everything on it bounded."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

import structlog

from engine.connectors.mllp.door import prepare
from engine.connectors.mllp.errors import FrameStalled
from engine.connectors.mllp.intake import Peer, Reply
from engine.connectors.mllp.wire import Fault, Frame, Framer, framed
from engine.core.errors import EngineError, InvariantError
from engine.core.limits import Limits
from engine.core.outcomes import outcome_of

if TYPE_CHECKING:
    from engine.connectors.mllp.server import MllpServer

LINGER_S: Final = 5.0
"""How long we go on reading and dropping after the last answer [s], so that the answer is not lost in a reset."""
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """The listener's side of one connection.

    Reading pauses while too many frames or bytes wait for their answer, while the peer does not read its answers, and
    while the listener as a whole holds too much. Nothing is ever dropped to make room.
    """

    def __init__(self, server: MllpServer, *, limits: Limits, framer: Framer) -> None:
        self._server = server
        self._limits = limits
        self._framer = framer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._peer = Peer(server.name, "")
        self._chunks: deque[Iterator[Frame | Fault]] = deque()
        self._waiting: deque[tuple[asyncio.Future[Reply], int]] = deque()
        self._waiting_bytes = 0
        self._paused_by: set[str] = set()
        self._ending = False
        """No further frame is taken; the connection ends after the answers that are due."""
        self._at_eof = False
        self._clock: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._write_clock: asyncio.TimerHandle | None = None
        self._gap: asyncio.TimerHandle | None = None
        """Runs while a message without frame is open."""
        self._last_read = 0.0
        self._opened = 0.0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the socket, or hang up."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername") or ("", 0)
        host = f"[{name[0]}]" if ":" in str(name[0]) else str(name[0])
        self._peer = Peer(self._server.name, f"{host}:{name[1]}")
        self._socket = transport.get_extra_info("socket")
        if not self._server.admit(self, self._socket.fileno() if self._socket is not None else -1):
            self._transport.abort()
            return
        if self._socket is not None:
            prepare(self._socket)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._ending:
            return
        now = self._loop.time()
        self._last_read = now
        begun = self._framer.begun
        self._chunks.append(self._framer.feed(data))
        self._take_frames()
        if self._framer.is_open:
            if begun != self._framer.begun:
                self._opened = now
            if self._clock is None:
                first = min(self._limits.mllp_silence_in_frame_s, self._limits.mllp_frame_open_s)
                self._clock = self._loop.call_later(first, self._look_at_clock)
            if self._socket is not None and _QUICKACK is not None:
                # A peer with Nagle on holds back the rest of its frame until we acknowledge what came.
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            if self._framer.is_unframed:
                self._await_gap()

    def eof_received(self) -> bool:
        """Take the end of the peer's side; answers that are due still go out."""
        self._at_eof = True
        if not self._ending:
            self._chunks.append(self._framer.finish())
            self._take_frames()
            self._ending = True
        return bool(self._waiting or self._chunks)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. What was accepted is committed all the same; its answer has nowhere to go."""
        for timer in (self._clock, self._linger, self._write_clock, self._gap):
            if timer is not None:
                timer.cancel()
        if self._waiting:
            log.warning("connection.lost_before_answer", listener=self._peer.listener, count=len(self._waiting))
        self._transport = None
        self._chunks.clear()
        self._server.forget(self)

    def pause_writing(self) -> None:
        """The peer does not read its answers: take no more from it, and not for ever."""
        self._pause("answers not read")
        self._write_clock = self._loop.call_later(self._limits.mllp_frame_open_s, self.abort)

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None
        self._resume("answers not read")

    # -- what the server asks

    @property
    def open_bytes(self) -> int:
        """How much of an unfinished frame is held [bytes]."""
        return self._framer.open_bytes

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused."""
        return bool(self._paused_by)

    def pause_for_memory(self) -> None:
        """Stop reading until the listener holds less."""
        self._pause("memory")

    def resume_after_memory(self) -> None:
        """Read again."""
        self._resume("memory")

    def finish(self) -> None:
        """Take no further frame, answer what was taken, then close."""
        self._ending = True
        self._chunks.clear()
        if self._transport is not None and not self._waiting and not self._framer.is_open:
            self._transport.close()
        else:
            self._close_if_done()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- frames in

    def _take_frames(self) -> None:
        """Hand on frames until the chunk is used up or enough wait for their answer."""
        while self._chunks and not self._is_full():
            event = next(self._chunks[0], None)
            if event is None:
                self._chunks.popleft()
            elif isinstance(event, Frame):
                self._server.received += 1
                self._hand_on(event.body, None)
            else:
                self._take_fault(event)
        if self._chunks:
            self._pause("answers due")
        self._server.weigh(self)

    def _is_full(self) -> bool:
        limits = self._limits
        return len(self._waiting) >= limits.mllp_pipelined_frames or self._waiting_bytes > limits.mllp_message_bytes

    def _take_fault(self, fault: Fault) -> None:
        level = log.warning if outcome_of(fault.error.code).level == "warning" else log.error
        level("frame.refused", listener=self._peer.listener, code=fault.error.code, bytes=len(fault.body))
        if fault.close:
            self._ending = True
            self._chunks.clear()
        if fault.answer:
            self._hand_on(fault.body, fault)
        elif fault.close:
            self._close_if_done()

    def _hand_on(self, body: bytes, fault: Fault | None) -> None:
        intake = self._server.intake
        try:
            reply = intake.refuse(body, fault.error, self._peer) if fault else intake.accept(body, self._peer)
        except Exception as error:  # noqa: BLE001  (the one place of this loop)
            reply = self._loop.create_future()
            reply.set_exception(error)
        self._waiting.append((reply, len(body)))
        self._waiting_bytes += len(body)
        reply.add_done_callback(self._send_due)

    # -- answers out

    def _send_due(self, done: asyncio.Future[Reply]) -> None:
        """Send every answer whose turn has come, in one write."""
        if self._transport is None or self._transport.is_closing():
            _retrieve(done)
            return
        waiting = self._waiting
        due: list[bytes] = []
        failed: asyncio.Future[Reply] | None = None
        while waiting and failed is None and waiting[0][0].done():
            reply, size = waiting.popleft()
            self._waiting_bytes -= size
            if reply.cancelled() or reply.exception() is not None:
                failed = reply
                continue
            answer = reply.result()
            due.extend(map(framed, answer.frames))
            if answer.close:
                self._drop_the_rest()
        if due:
            self._transport.write(due[0] if len(due) == 1 else b"".join(due))
        if failed is not None:
            self._close_unanswered(None if failed.cancelled() else failed.exception())
            return
        if self._chunks and len(waiting) * 2 <= self._limits.mllp_pipelined_frames:
            self._take_frames()
        if not self._chunks:
            self._resume("answers due")
        self._close_if_done()

    def _drop_the_rest(self) -> None:
        """Take nothing more and answer nothing more. What was accepted is committed all the same."""
        self._ending = True
        self._chunks.clear()
        for reply, _ in self._waiting:
            reply.remove_done_callback(self._send_due)
            reply.add_done_callback(_retrieve)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _close_unanswered(self, error: BaseException | None) -> None:
        """Hang up without a word: the one reply that every sender takes for "not delivered, keep it"."""
        # The stack, but not the text of a foreign exception: that may hold a value of the message.
        known = isinstance(error, EngineError)
        log.error(
            "connection.closed_unanswered",
            listener=self._peer.listener,
            code=error.code if isinstance(error, EngineError) else InvariantError.code,
            kind=type(error).__name__,
            stack="" if known or error is None else "".join(traceback.format_tb(error.__traceback__)),
        )
        self._drop_the_rest()
        if self._transport is not None:
            self._linger = self._loop.call_later(LINGER_S, self.abort)
            self._transport.close()

    def _close_if_done(self) -> None:
        transport = self._transport
        if not self._ending or self._waiting or self._chunks or transport is None:
            return
        if transport.is_closing() or self._linger is not None:
            return
        self._linger = self._loop.call_later(LINGER_S, self.abort)
        if self._at_eof or not transport.can_write_eof():
            transport.close()
            return
        # Closing a socket with unread bytes resets it, and the peer may lose the answer it is about to read.
        try:
            transport.write_eof()
        except OSError:
            transport.abort()
            return
        if self._paused_by:
            self._paused_by.clear()
            transport.resume_reading()

    # -- time and bounds

    def _look_at_clock(self) -> None:
        """Hang up on a frame that is silent or open for too long; else look again when it could be."""
        self._clock = None
        if not self._framer.is_open or self._transport is None:
            return
        now = self._loop.time()
        if self._paused_by:
            self._last_read = self._opened = now
        limits = self._limits
        due = min(self._last_read + limits.mllp_silence_in_frame_s, self._opened + limits.mllp_frame_open_s)
        if now < due:
            self._clock = self._loop.call_at(due, self._look_at_clock)
            return
        self._take_fault(Fault(FrameStalled(received=self._framer.open_bytes), close=True))

    def _await_gap(self) -> None:
        if self._gap is not None:
            self._gap.cancel()
        self._gap = self._loop.call_later(self._limits.mllp_unframed_gap_s, self._end_unframed)

    def _end_unframed(self) -> None:
        """Nothing has come for a while: a message without frame has ended, unless it is we who do not read."""
        self._gap = None
        if not self._framer.is_unframed or self._transport is None or self._ending:
            return
        if self._paused_by:
            self._await_gap()
            return
        self._chunks.append(self._framer.gap())
        self._take_frames()

    def _pause(self, reason: str) -> None:
        if not self._paused_by and self._transport is not None and not self._ending:
            self._transport.pause_reading()
        self._paused_by.add(reason)

    def _resume(self, reason: str) -> None:
        if reason not in self._paused_by:
            return
        self._paused_by.discard(reason)
        if not self._paused_by and self._transport is not None and not self._ending:
            self._last_read = self._loop.time()
            self._transport.resume_reading()


def _retrieve(done: asyncio.Future[Reply]) -> None:
    """Look at the outcome of an answer that nobody waits for any more."""
    if not done.cancelled():
        done.exception()
