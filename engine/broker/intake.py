"""Takes HL7 v2 messages: reads, routes and maps on the loop, applies and journals in one unit of work, then answers.

Nothing positive is answered before the commit; a message that cannot be applied is kept, with what to do.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.blobs.store import BlobStore
from engine.broker.apply import Applied, Desk, apply_fact
from engine.broker.errors import UnsupportedEvent, UnsupportedProcessingId, UnsupportedType
from engine.broker.forward import forward
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError, InvariantError, PeerError
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.core.outcomes import outcome_of
from engine.hl7.acknowledgement import Problem, answers_wanted, build_ack, is_acknowledgement
from engine.hl7.batch import split
from engine.hl7.message import Message, check_head, read_head
from engine.mapping.context import Context
from engine.mapping.result import Result
from engine.records.exchange import Peer, Reply
from engine.records.fact import OrderFact, PatientFact
from engine.records.record import Event
from engine.records.state import MessageState
from engine.store import journal
from engine.store.unit import Unit
from engine.store.writer import Writer

_FRAME_END = b"\x1c"
"""Parts the frames of one stored answer; it cannot stand inside a message."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A message as far as it could be read before anything was decided."""

    body: bytes
    message: Message | None
    results: tuple[tuple[Route, tuple[Result, ...]], ...] = ()
    error: PeerError | None = None


class MessageIntake:
    """Accepts HL7 v2 messages of every listener; one per engine."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        writer: Writer,
        blobs: BlobStore,
        wake: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self._site = site
        self._writer = writer
        self._blobs = blobs
        self._wake = wake
        self._limits = limits
        self.counts: dict[str, int] = {state.value: 0 for state in MessageState} | {"duplicate": 0}

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        """Take a frame: one message, or a batch of them. Returns at once; the future resolves after the commit.

        Raises (in the future):
            StorageError: nothing was kept and nothing may be answered.
        """
        pieces = split(body)
        if len(pieces) == 1:
            return self._accept(pieces[0], peer)
        if not pieces:
            return self.refuse(body, UnsupportedType("no message in the batch"), peer)
        waiting = [self._accept(piece, peer) for piece in pieces]
        return asyncio.ensure_future(_joined(waiting))

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        """Keep and answer a frame that the framing itself refuses."""
        return self._submit(_Read(body=body, message=read_head(body), error=error), peer, self._site())

    def _accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        site = self._site()
        return self._submit(self._read(body, peer, site), peer, site)

    def _read(self, body: bytes, peer: Peer, site: Site) -> _Read:
        listener = site.settings.listeners.mllp[peer.listener]
        try:
            message = Message.parse(body, default_charset=listener.default_charset)
        except PeerError as error:
            return _Read(body=body, message=read_head(body), error=error)
        if is_acknowledgement(message):
            return _Read(body=body, message=message)
        try:
            check_head(message)
            _check_processing_id(message, listener.processing_ids)
            context = site.context(listener.default_issuer)
            results = self._route(message, peer, site, context)
        except PeerError as error:
            return _Read(body=body, message=message, error=error)
        return _Read(body=body, message=message, results=results)

    def _route(
        self, message: Message, peer: Peer, site: Site, context: Context
    ) -> tuple[tuple[Route, tuple[Result, ...]], ...]:
        routes = site.message_routes("mllp", peer.listener)
        taken = [route for route in routes if route.matches(message, context)]
        if not taken:
            raise _not_taken(message, routes)
        return tuple((route, tuple(route.mapping.run(message, context)) if route.mapping else ()) for route in taken)

    def _submit(self, read: _Read, peer: Peer, site: Site) -> asyncio.Future[Reply]:
        entry = self._entry(read, peer, site)
        error = read.error
        if error is not None:
            refusal = error
            return self._writer.submit(lambda unit: self._keep_refused(unit, read, entry, refusal, site))
        return self._writer.submit(
            lambda unit: self._apply(unit, read, entry, site),
            lambda unit, raised: self._keep_refused(unit, read, entry, raised, site),
        )

    def _entry(self, read: _Read, peer: Peer, site: Site) -> journal.Entry:
        message = read.message
        return journal.Entry(
            kind="mllp",
            listener=peer.listener,
            peer=peer.address,
            sender="/".join(message.sender) if message else "",
            control_id=message.control_id if message else "",
            message_type=f"{message.type}^{message.trigger}" if message else "",
            body=read.body,
            size_bytes=len(read.body),
            sha256=hashlib.sha256(read.body).hexdigest(),
            state=MessageState.APPLIED,
            routes=tuple(route.name for route, _ in read.results),
            revision=site.revision,
        )

    def _apply(self, unit: Unit, read: _Read, entry: journal.Entry, site: Site) -> Reply:
        repeated = self._earlier(unit, entry)
        if isinstance(repeated, Reply):
            return repeated
        row = unit.new_id()
        desk = Desk(site=site, wake=self._wake)
        done: list[Applied] = []
        for route, results in read.results:
            if route.apply is not None:
                for result in results:
                    if not isinstance(result.fact, OrderFact | PatientFact):
                        raise InvariantError(f"route {route.name} applies what its mapping does not make")
                    done.append(apply_fact(unit, result.fact, entry.sender, row, desk))
            forward(unit, row, read.body, route, results, site, self._wake)
        held = any(applied.held for applied in done)
        if held:
            state = MessageState.HELD
        elif done or any(route.destinations for route, _ in read.results):
            state = MessageState.APPLIED
        else:
            state = MessageState.FILTERED
        notes = [note for applied in done for note in applied.notes]
        if repeated:
            notes.append("the control id was used before for another message")
        problems = [Problem("HL7-110", note, None, "W") for note in dict.fromkeys(notes)]
        entry = replace(entry, state=state, text="; ".join(dict.fromkeys(notes)))
        return self._keep(unit, row, read, entry, problems, site)

    def _earlier(self, unit: Unit, entry: journal.Entry) -> Reply | bool:
        """Return the stored answer of a resend, or whether the control id was used for other bytes."""
        if not entry.control_id:
            return False
        before = journal.earlier(unit, entry, self._limits.duplicate_window_s)
        if before is None:
            return False
        if not before.same_bytes:
            return True
        event = Event(
            id=unit.new_id(),
            name="message.duplicate_answered",
            at=unit.now,
            cause_kind="message",
            cause_id=before.id,
        )
        unit.insert([event])
        self.counts["duplicate"] += 1
        return Reply(tuple(frame for frame in before.answer.split(_FRAME_END) if frame))

    def _keep_refused(self, unit: Unit, read: _Read, entry: journal.Entry, error: EngineError, site: Site) -> Reply:
        entry = replace(
            entry,
            state=MessageState.REFUSED if isinstance(error, PeerError) else MessageState.DEAD,
            code=error.code,
            text=error.text,
            place=error.where or "",
        )
        return self._keep(unit, unit.new_id(), read, entry, [Problem.of(error)], site)

    def _keep(
        self, unit: Unit, row: RowId, read: _Read, entry: journal.Entry, problems: Sequence[Problem], site: Site
    ) -> Reply:
        frames = _frames(read.message, row, problems, unit.now, site)
        if entry.size_bytes > self._limits.body_inline_bytes:
            entry = replace(entry, body=None, body_blob=self._blobs.put(read.body))
        journal.write(unit, row, replace(entry, answer=_FRAME_END.join(frames)), unit.now)
        unit.after_commit(lambda: self._count(entry.state))
        return Reply(frames)

    def _count(self, state: MessageState) -> None:
        self.counts[state.value] += 1


async def _joined(waiting: Sequence[asyncio.Future[Reply]]) -> Reply:
    """Reply a batch message by message, in order; one storage failure leaves the whole frame unanswered."""
    answers = await asyncio.gather(*waiting)
    return Reply(tuple(frame for answer in answers for frame in answer.frames))


def _check_processing_id(message: Message, taken: Sequence[str]) -> None:
    stated = message.processing_id.strip().upper()
    if stated and stated not in taken:
        raise UnsupportedProcessingId(f"processing id must be {' or '.join(taken)}", where="MSH^1^11")


def _not_taken(message: Message, routes: Sequence[Route]) -> PeerError:
    if any(message.type in route.types for route in routes):
        return UnsupportedEvent("no route takes this event of the message type", where="MSH^1^9^1^2")
    return UnsupportedType("no route takes this message type", where="MSH^1^9^1^1")


def _frames(
    message: Message | None, row: RowId, problems: Sequence[Problem], now: datetime, site: Site
) -> tuple[bytes, ...]:
    if message is not None and is_acknowledgement(message):
        return ()
    msh = message.first("MSH") if message is not None else None
    at_accept = [
        problem for problem in problems if problem.severity == "E" and outcome_of(problem.code).accept_ack != "CA"
    ]
    accept, application = False, True
    if msh is not None:
        applied = not any(problem.severity == "E" for problem in problems)
        accept = answers_wanted(msh.field(15), msh.field(16), ok=not at_accept).accept
        application = answers_wanted(msh.field(15), msh.field(16), ok=applied).application
    time = now.astimezone(ZoneInfo(site.settings.site.timezone)).strftime("%Y%m%d%H%M%S%z")
    frames = []
    if accept:
        frames.append(build_ack(message, at_accept, control_id=f"ISTHMUSC{row:010d}", time=time, accept=True))
    if application and not (accept and at_accept):  # what was not accepted is not processed either
        frames.append(build_ack(message, problems, control_id=f"ISTHMUSA{row:010d}", time=time))
    return tuple(frames)
