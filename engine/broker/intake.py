"""Takes HL7 v2 messages: reads, routes and maps on the loop, applies and journals in one unit of work, then answers.

Nothing positive is answered before the commit; a message that cannot be applied is kept, with what to do.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.blobs.store import BlobStore
from engine.broker.apply import Applied, Desk, apply_facts
from engine.broker.errors import UnsupportedEvent, UnsupportedProcessingId, UnsupportedType
from engine.broker.forward import forward
from engine.broker.order_answer import answer_applied, answer_refused
from engine.broker.validation import NOTHING_FOUND, Findings, StandardCheck, examine, no_check, problems_text
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError, PeerError, StorageError
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.core.outcomes import outcome_of
from engine.hl7.acknowledgement import Problem, Response, answers_wanted, build_ack, is_acknowledgement
from engine.hl7.batch import Batch, build_batch_answer, read_batch
from engine.hl7.errors import PartOfMessage
from engine.hl7.message import Message, check_head, read_head
from engine.mapping.context import Context
from engine.mapping.result import Result
from engine.records.exchange import Peer, Reply
from engine.records.record import Event
from engine.records.state import MessageState
from engine.store import journal
from engine.store.unit import Unit
from engine.store.writer import Writer

_INITIAL_LOAD = "I"
_TOGETHER = 32
"""How many messages of a batch are read before others have their turn."""
_FRAME_END = b"\x1c"
"""Parts the frames of one stored answer; it cannot stand inside a message."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A message as far as it could be read before anything was decided."""

    body: bytes
    message: Message | None
    results: tuple[tuple[Route, tuple[Result, ...]], ...] = ()
    error: EngineError | None = None
    findings: Findings = NOTHING_FOUND
    """What validation has found, and what it still has to look for."""
    notes: tuple[str, ...] = ()
    """What to tell the sender besides."""


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
        check_standard: StandardCheck = no_check,
    ) -> None:
        self._site = site
        self._check_standard = check_standard
        self._writer = writer
        self._blobs = blobs
        self._wake = wake
        self._limits = limits
        self._ahead: dict[Peer, asyncio.Task[Reply]] = {}
        """Batches under way; what the same connection sends meanwhile waits, so that order is kept."""
        self._not_submitted: dict[Peer, asyncio.Future[None]] = {}
        """Messages that are being validated: the last of each connection, done when the writer has it."""
        self.counts: dict[str, int] = {state.value: 0 for state in MessageState} | {"duplicate": 0}

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        """Take a frame: one message, or a batch of them. Returns at once; the future resolves after the commit.

        Raises (in the future):
            StorageError: nothing may be answered. Of a batch, some messages may be kept; a repeat does not harm them.
        """
        batch = read_batch(body)
        ahead = self._ahead.get(peer)
        if len(batch.messages) == 1 and not batch.envelope and ahead is None:
            return self._accept(batch.messages[0], peer)
        if not batch.messages:
            return self.refuse(body, UnsupportedType("no message in the batch"), peer)
        task = asyncio.ensure_future(self._accept_batch(batch, peer, ahead))
        self._ahead[peer] = task
        task.add_done_callback(lambda done: self._let_on(peer, done))
        return task

    def _let_on(self, peer: Peer, done: asyncio.Task[Reply]) -> None:
        if self._ahead.get(peer) is done:
            del self._ahead[peer]

    async def _accept_batch(self, batch: Batch, peer: Peer, ahead: asyncio.Task[Reply] | None) -> Reply:
        """Take a batch, a slice at a time; one storage failure leaves the whole frame unanswered."""
        if ahead is not None:
            await asyncio.wait([ahead])
        notes = batch.disagreements
        frames: list[bytes] = []
        for begin in range(0, len(batch.messages), _TOGETHER):
            pieces = batch.messages[begin : begin + _TOGETHER]
            for reply in await asyncio.gather(*[self._accept(piece, peer, notes) for piece in pieces]):
                frames.extend(reply.frames)
        listener = self._site().settings.listeners.mllp[peer.listener]
        if frames and batch.envelope and listener.batch_answer == "batch":
            frames = [_batch_answer(batch, frames)]
        return Reply(tuple(frames))

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        """Keep and answer a frame that the framing itself refuses."""
        return self._submit(_Read(body=body, message=read_head(body), error=error), peer, self._site())

    def _accept(self, body: bytes, peer: Peer, notes: tuple[str, ...] = ()) -> asyncio.Future[Reply]:
        site = self._site()
        read = self._read(body, peer, site)
        if notes:
            read = replace(read, notes=(*notes, *read.notes))
        before = self._not_submitted.get(peer)
        if before is None and read.findings.standard == "off":
            return self._submit(read, peer, site)
        submitted = asyncio.get_running_loop().create_future()
        self._not_submitted[peer] = submitted
        return asyncio.ensure_future(self._submit_in_turn(read, peer, site, before, submitted))

    async def _submit_in_turn(
        self, read: _Read, peer: Peer, site: Site, before: asyncio.Future[None] | None, submitted: asyncio.Future[None]
    ) -> Reply:
        """Validate a message, and give it to the writer after those that came before it on its connection."""
        try:
            if read.findings.standard != "off":
                read = await self._validated(read, site.settings.listeners.mllp[peer.listener].default_charset)
            if before is not None:
                await before
            answer = self._submit(read, peer, site)
        finally:
            submitted.set_result(None)
            if self._not_submitted.get(peer) is submitted:
                del self._not_submitted[peer]
        return await answer

    async def _validated(self, read: _Read, default_charset: str | None) -> _Read:
        """Consult the standard; a message that cannot be looked at is refused only where that is asked for."""
        findings = read.findings
        try:
            found = await self._check_standard(read.body, default_charset)
        except EngineError as error:
            if findings.standard == "strict":
                return replace(read, error=error, findings=replace(findings, standard="off"))
            notes = (*read.notes, "the message was not validated")
            return replace(read, notes=notes, findings=replace(findings, standard="off"))
        findings = findings.with_standard(found)
        return replace(read, error=findings.refusal() or read.error, findings=findings)

    def _read(self, body: bytes, peer: Peer, site: Site) -> _Read:
        listener = site.settings.listeners.mllp[peer.listener]
        try:
            message = Message.parse(body, default_charset=listener.default_charset)
        except PeerError as error:
            return _Read(body=body, message=read_head(body), error=error)
        if is_acknowledgement(message):
            return _Read(body=body, message=message, notes=("an acknowledgement is never acknowledged",))
        try:
            check_head(message)
            if message.is_part:
                raise PartOfMessage
            _check_processing_id(message, listener.processing_ids)
            context = site.context(listener.default_issuer)
            taken = _taken(message, site.message_routes("mllp", peer.listener), context)
        except PeerError as error:
            return _Read(body=body, message=message, error=error)
        findings = examine(message, taken)
        try:
            results = tuple((route, _mapped(route, message, context)) for route in taken)
        except PeerError as error:
            return _Read(body=body, message=message, error=findings.refusal() or error, findings=findings)
        findings = findings.with_warnings(each for _, some in results for one in some for each in one.warnings)
        return _Read(body=body, message=message, results=results, error=findings.refusal(), findings=findings)

    def _submit(self, read: _Read, peer: Peer, site: Site) -> asyncio.Future[Reply]:
        try:
            self._blobs.check_space()
        except StorageError as full:  # nothing is answered: the sender keeps its message
            refused: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            refused.set_exception(full)
            return refused
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
            message_type=f"{message.type}^{message.trigger}".rstrip("^") if message else "",
            body=read.body,
            size_bytes=len(read.body),
            sha256=hashlib.sha256(read.body).hexdigest(),
            state=MessageState.APPLIED,
            routes=tuple(route.name for route, _ in read.results),
            revision=site.revision,
            validation=problems_text(read.findings.problems),
        )

    def _apply(self, unit: Unit, read: _Read, entry: journal.Entry, site: Site) -> Reply:
        repeated = self._earlier(unit, entry)
        if isinstance(repeated, Reply):
            return repeated
        row = unit.new_id()
        silent = read.message is not None and read.message.processing_mode == _INITIAL_LOAD
        desk = Desk(site=site, wake=self._wake, silent=silent, blobs=self._blobs)
        done: list[Applied] = []
        response: Response | None = None
        not_sent: list[str] = []
        for route, results in read.results:
            if route.apply is not None:
                ways = route.ways.of(entry.sender)
                applied = apply_facts(unit, results, entry.sender, row, desk, ways)
                done.extend(applied)
                response = response or answer_applied(unit, read.message, results, applied, ways)
            not_sent.extend(forward(unit, row, read.body, route, results, site, self._wake))
        held = bool(not_sent) or any(each.held for each in done)
        if held:
            state = MessageState.HELD
        elif any(not each.ignored for each in done) or any(route.destinations for route, _ in read.results):
            state = MessageState.APPLIED
        else:
            state = MessageState.FILTERED
        notes = [*read.notes, *(note for each in done for note in each.notes), *not_sent]
        if repeated:
            notes.append("the control id was used before for another message")
        problems = [*(Problem("HL7-110", note, None, "W") for note in dict.fromkeys(notes)), *read.findings.problems]
        if notes or state is not entry.state:
            entry = replace(entry, state=state, text="; ".join(dict.fromkeys(notes)))
        return self._keep(unit, row, read, entry, problems, site, response)

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
            text=error.kept_text,
            place=error.where or "",
        )
        problems = [Problem.of(error), *(Problem("HL7-110", note, None, "W") for note in read.notes)]
        problems = list(dict.fromkeys((*problems, *read.findings.problems)))
        response = answer_refused(read.message, site, entry.listener)
        return self._keep(unit, unit.new_id(), read, entry, problems, site, response)

    def _keep(
        self,
        unit: Unit,
        row: RowId,
        read: _Read,
        entry: journal.Entry,
        problems: Sequence[Problem],
        site: Site,
        response: Response | None,
    ) -> Reply:
        frames = _frames(read.message, row, problems, unit.now, site, entry.listener, response)
        if entry.size_bytes > self._limits.body_inline_bytes:
            entry = replace(entry, body=None, body_blob=self._blobs.put(read.body))
        journal.write(unit, row, entry, unit.now, _FRAME_END.join(frames))
        unit.after_commit(lambda: self._count(entry.state))
        return Reply(frames)

    def _count(self, state: MessageState) -> None:
        self.counts[state.value] += 1


def _batch_answer(batch: Batch, frames: Sequence[bytes]) -> bytes:
    """Return the answers as one batch; a repeat gets the same bytes, so its name and time are the first answer's."""
    first = read_head(frames[0])
    time = (first.get("MSH-7") or "") if first else ""
    return build_batch_answer(batch, frames, control_id=f"{first.control_id}B" if first else "", time=time)


def _check_processing_id(message: Message, taken: Sequence[str]) -> None:
    stated = message.processing_id.strip().upper()
    if stated and stated not in taken:
        raise UnsupportedProcessingId(f"processing id must be {' or '.join(taken)}", where="MSH^1^11")


def _taken(message: Message, routes: Sequence[Route], context: Context) -> list[Route]:
    taken = [route for route in routes if route.matches(message, context)]
    if not taken:
        raise _not_taken(message, routes)
    return taken


def _mapped(route: Route, message: Message, context: Context) -> tuple[Result, ...]:
    return tuple(route.mapping.run(message, context)) if route.mapping else ()


def _not_taken(message: Message, routes: Sequence[Route]) -> PeerError:
    if any(message.type in route.types for route in routes):
        return UnsupportedEvent("no route takes this event of the message type", where="MSH^1^9^1^2")
    return UnsupportedType("no route takes this message type", where="MSH^1^9^1^1")


@lru_cache(maxsize=8)
def _time(second: datetime, timezone: str) -> str:
    """Return a time as HL7 TS in a zone; hundreds of answers share one."""
    return second.astimezone(ZoneInfo(timezone)).strftime("%Y%m%d%H%M%S%z")


def _frames(
    message: Message | None,
    row: RowId,
    problems: Sequence[Problem],
    now: datetime,
    site: Site,
    listener: str,
    response: Response | None,
) -> tuple[bytes, ...]:
    if message is not None and is_acknowledgement(message):
        return ()
    msh = message.first("MSH") if message is not None else None
    at_accept = [
        problem for problem in problems if problem.severity == "E" and outcome_of(problem.code).accept_ack != "CA"
    ]
    accept, application = False, True
    if msh is not None and (msh.field(15) or msh.field(16)):
        applied = not any(problem.severity == "E" for problem in problems)
        blank = site.settings.listeners.mllp[listener].blank_ack_condition
        accept = answers_wanted(msh.field(15), msh.field(16), ok=not at_accept, blank=blank).accept
        application = answers_wanted(msh.field(15), msh.field(16), ok=applied, blank=blank).application
    time = _time(now.replace(microsecond=0), site.settings.site.timezone)
    frames = []
    if accept:
        frames.append(build_ack(message, at_accept, control_id=f"ISTHMUSC{row:010d}", time=time, accept=True))
    if application and not (accept and at_accept):  # what was not accepted is not processed either
        control_id = f"ISTHMUSA{row:010d}"
        frames.append(build_ack(message, problems, control_id=control_id, time=time, response=response))
    return tuple(frames)
