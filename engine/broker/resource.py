"""Takes FHIR resources: reads and maps them off the writer, applies and journals in one unit of work, then answers.

The same way as an HL7 message takes (engine/broker/intake.py): one truth in two languages.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from engine.blobs.store import BlobStore
from engine.broker.apply import Applied, Desk, apply_fact
from engine.broker.forward import forward
from engine.broker.representation import Representation
from engine.broker.search import conditions_of
from engine.broker.subject import SubjectFound, in_words_of_fhir, subject_patient
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError, InvariantError, PeerError
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.fhir.errors import Issue, ResourceRefused, refused
from engine.fhir.json_guard import read_json
from engine.fhir.outcome import issues_of, note, operation_outcome, status_of
from engine.fhir.service_request import order_issues
from engine.fhir.validation import find_issues, preload
from engine.linkage.procedure import find_procedure
from engine.mapping.fhir_source import order_view
from engine.mapping.result import Result
from engine.records.exchange import Peer
from engine.records.fact import OrderFact, PatientFact
from engine.records.state import MessageState, OrderState
from engine.store import journal, known, resource
from engine.store.reader import Reader
from engine.store.resource import OrderedProcedure
from engine.store.unit import Unit
from engine.store.writer import Writer

_KIND: Final = "ServiceRequest"
_SENDER = "FHIR"
"""Who sends, in the words of the procedure code map and of `orders.nw_as_update`, until clients have names."""
_OK, _CREATED, _ACCEPTED, _CONFLICT = 200, 201, 202, 409


class Preference(StrEnum):
    """What `Prefer: return=` asks to be answered with."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request to create a resource."""

    body: bytes
    peer: Peer
    base_url: str
    """Our own base, such as `http://host:8080/fhir`; references that start with it are ours."""
    preference: Preference = Preference.REPRESENTATION
    if_none_exist: str = ""
    """Query of a conditional create, "" when there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send back; only handed out after the commit."""

    status: int
    """HTTP: 201 created, 200 there already or changed, 202 kept and held without an order, else refused."""
    body: bytes
    """FHIR JSON; empty for `return=minimal`."""
    id: RowId | None = None
    """Logical id of the resource; None when there is none."""
    version: str = ""
    changed_at: datetime | None = None
    code: str = ""
    """Why it was refused (docs/errors.md); "" otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A ServiceRequest as the site's routes read it, before anything was decided."""

    view: dict[str, Any]
    results: tuple[tuple[Route, tuple[Result, ...]], ...]


class ResourceIntake:
    """Accepts FHIR resources; one per engine."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        writer: Writer,
        reader: Reader,
        blobs: BlobStore,
        wake: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self._site = site
        self._writer = writer
        self._reader = reader
        self._blobs = blobs
        self._wake = wake
        self._limits = limits
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fhir-validation")
        self._loading: Future[None] | None = None
        self.counts: dict[str, int] = {state.value: 0 for state in MessageState}

    def start(self) -> None:
        """Begin to import the models that validate; what comes meanwhile waits for them off the loop."""
        self._loading = self._pool.submit(preload)

    def close(self) -> None:
        """End the thread that validates large bodies."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def create_service_request(self, posted: Posted) -> Answer:
        """Take a ServiceRequest; returns once it is durable, refused ones too.

        Raises:
            StorageError: nothing was kept; answer 503.
        """
        site = self._site()
        self._blobs.check_space()
        entry = await self._entry(posted, site)
        try:
            read = await self._read(posted, site)
            conditions = conditions_of(posted.if_none_exist, site.issuers)
        except PeerError as error:
            refusal = error
            return await asyncio.shield(self._writer.submit(lambda unit: self._keep_refused(unit, entry, refusal)))
        entry = replace(entry, routes=tuple(route.name for route, _ in read.results))
        return await asyncio.shield(
            self._writer.submit(
                lambda unit: self._apply(unit, posted, read, conditions, entry, site),
                lambda unit, raised: self._keep_refused(unit, entry, raised),
            )
        )

    async def _entry(self, posted: Posted, site: Site) -> journal.Entry:
        body: bytes | None = posted.body
        key = ""
        if len(posted.body) > self._limits.body_inline_bytes:
            key = await asyncio.to_thread(self._blobs.put, posted.body)
            body = None
        return journal.Entry(
            kind="fhir",
            listener=posted.peer.listener,
            peer=posted.peer.address,
            sender=_SENDER,
            control_id="",
            message_type=_KIND,
            body=body,
            body_blob=key,
            size_bytes=len(posted.body),
            sha256=hashlib.sha256(posted.body).hexdigest(),
            state=MessageState.APPLIED,
            revision=site.revision,
        )

    async def _read(self, posted: Posted, site: Site) -> _Read:
        order = await self._checked(posted.body)
        subject = await subject_patient(order, posted.base_url, site, self._reader)
        view = order_view(order, subject.resource)
        context = site.context()
        routes = [route for route in site.message_routes("fhir", _KIND) if route.matches(view, context)]
        if not routes:
            raise refused("FHIR-111", "no route takes this resource", where=_KIND, kind="not-supported")
        try:
            results = tuple(
                (route, tuple(_of_subject(one, subject) for one in route.mapping.run(view, context)))
                for route in routes
                if route.mapping is not None
            )
        except PeerError as error:
            raise in_words_of_fhir(error, subject.where) from error
        return _Read(view=view, results=results)

    async def _checked(self, body: bytes) -> dict[str, Any]:
        """Validate: on the loop what takes 0.2 ms, else beside it."""
        is_ready = self._loading is not None and self._loading.done()
        if is_ready and len(body) <= self._limits.body_inline_bytes:
            return _checked(body, self._limits)
        return await asyncio.get_running_loop().run_in_executor(self._pool, _checked, body, self._limits)

    def _apply(
        self,
        unit: Unit,
        posted: Posted,
        read: _Read,
        conditions: resource.Criteria,
        entry: journal.Entry,
        site: Site,
    ) -> Answer:
        row = unit.new_id()
        if conditions:
            there = resource.find(unit.connection, _KIND, conditions, count=1)
            if there.total > 1:
                raise refused("FHIR-124", "the condition matches more than one order", where="")
            if there.total:
                found = _found(unit, there.ids[0])
                entry = replace(entry, state=MessageState.FILTERED, text="the condition matches an order")
                return self._keep(unit, row, entry, _answer(_OK, found, posted.preference, site, ()))
        desk = Desk(site=site, wake=self._wake)
        done: list[tuple[OrderFact, Applied]] = []
        for route, results in read.results:
            if route.apply is not None:
                for result in results:
                    if not isinstance(result.fact, OrderFact):
                        raise InvariantError(f"route {route.name} applies what its mapping does not make")
                    try:
                        done.append((result.fact, apply_fact(unit, result.fact, entry.sender, row, desk)))
                    except PeerError as error:
                        raise in_words_of_fhir(error, "") from error
            if results:
                forward(unit, row, posted.body, route, results, site, self._wake, source=read.view)
        notes = tuple(dict.fromkeys(text for _, applied in done for text in applied.notes))
        held = any(applied.held for _, applied in done)
        state = MessageState.HELD if held else MessageState.APPLIED if done else MessageState.FILTERED
        entry = replace(entry, state=state, text="; ".join(notes))
        return self._keep(unit, row, entry, _decided(unit, row, posted.preference, site, done, notes))

    def _keep_refused(self, unit: Unit, entry: journal.Entry, error: EngineError) -> Answer:
        issues = issues_of(error)
        state = MessageState.REFUSED if isinstance(error, PeerError) else MessageState.DEAD
        entry = replace(entry, state=state, code=error.code, text=error.kept_text, place=error.where or "")
        return self._keep(unit, unit.new_id(), entry, _refusal(issues))

    def _keep(self, unit: Unit, row: RowId, entry: journal.Entry, answer: Answer) -> Answer:
        journal.write(unit, row, entry, unit.now, answer.body)
        unit.after_commit(lambda: self._count(entry.state))
        return answer

    def _count(self, state: MessageState) -> None:
        self.counts[state.value] += 1


def _checked(body: bytes, limits: Limits) -> dict[str, Any]:
    """Return a ServiceRequest that is valid and an order that we take.

    Raises:
        ResourceRefused: FHIR-101, FHIR-110, FHIR-111, FHIR-113, FHIR-114, all findings at once.
    """
    read = read_json(body, depth=limits.json_depth)
    issues = find_issues(read, _KIND)
    if read.get("resourceType") == _KIND:
        wanted = list(order_issues(read))
        places = {issue.where for issue in wanted if issue.code == "FHIR-113"}
        issues = [issue for issue in issues if issue.where not in places or issue.kind != "required"] + wanted
    if issues:
        raise ResourceRefused(issues)
    return read


def _of_subject(result: Result, subject: SubjectFound) -> Result:
    """Return the mapping's result, for the very patient that a reference led to: by its own numbers, word for word."""
    if subject.identifiers is None or not isinstance(result.fact, OrderFact):
        return result
    person = PatientFact(identifiers=subject.identifiers, visit=result.fact.patient.visit)
    return replace(result, fact=replace(result.fact, patient=person))


def _decided(
    unit: Unit,
    row: RowId,
    preference: Preference,
    site: Site,
    done: Sequence[tuple[OrderFact, Applied]],
    notes: tuple[str, ...],
) -> Answer:
    placed = next(((fact, applied.order_id) for fact, applied in done if applied.order_id is not None), None)
    if placed is None:
        # kept, and a person decides before there is an order; the same as AA with a warning in HL7
        issues = [note(text, severity="warning") for text in notes or ("no route applies this resource",)]
        return Answer(status=_ACCEPTED, body=orjson.dumps(operation_outcome(issues)))
    fact, order_id = placed
    order = known.order(unit, order_id)
    procedures = order.procedures
    fresh = next((procedure for procedure in procedures if procedure.cause_id == row), None)
    procedure = fresh or find_procedure(fact, procedures) or procedures[0]
    if fact.control == "CA" and procedure.state is not OrderState.CANCELLED:
        text = "the examination has started; a person decides whether the order is revoked"
        return _refusal([Issue(code="FHIR-112", text=text, where="ServiceRequest.status")])
    status = _OK if fresh is None else _CREATED
    return _answer(status, resource.of_order(unit.connection, order, procedure), preference, site, notes)


def _found(unit: Unit, row: RowId) -> OrderedProcedure:
    found = resource.service_request(unit.connection, row)
    if found is None:
        raise InvariantError("an order that was just found is not there")
    return found


def _answer(status: int, found: OrderedProcedure, preference: Preference, site: Site, notes: Sequence[str]) -> Answer:
    match preference:
        case Preference.MINIMAL:
            body = b""
        case Preference.REPRESENTATION:
            body = orjson.dumps(Representation(site).service_request(found))
        case Preference.OUTCOME:
            said = "the order was created" if status == _CREATED else "the order was there already"
            issues = [note(said), *(note(text, severity="warning") for text in notes)]
            body = orjson.dumps(operation_outcome(issues))
    return Answer(
        status=status, body=body, id=found.procedure.id, version=str(found.version), changed_at=found.changed_at
    )


def _refusal(issues: Sequence[Issue]) -> Answer:
    return Answer(status=status_of(issues), body=orjson.dumps(operation_outcome(issues)), code=issues[0].code)
