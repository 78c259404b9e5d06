"""A small hospital in a real database, filled by the broker's own functions, behind a real socket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from engine.blobs.folder import FolderStore
from engine.broker.apply import Applied, Desk, apply_fact
from engine.broker.image import ImageIntake
from engine.broker.quiet import QuietTimer
from engine.config.code_map import CodeMap
from engine.config.settings import Settings
from engine.config.site import Site
from engine.connectors.web.application import add_web
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.desk.status import Check, Counts, DestinationStatus, ListenerStatus
from engine.records.exchange import Sameness
from engine.records.fact import IdentifierFact, InstanceFact, OrderFact, PatientFact
from engine.records.record import Event
from engine.records.state import DeliveryState, MessageState
from engine.store import journal, outbox, worklist
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def pass_(self, **length: float) -> None:
        self.time += timedelta(**length)


@dataclass
class SteadyStatus:
    """An engine that runs, as far as the test says."""

    ready: list[Check] = field(
        default_factory=lambda: [Check(name="database", is_ok=True), Check(name="disk", is_ok=True)]
    )

    def listeners(self) -> Sequence[ListenerStatus]:
        return [
            ListenerStatus(name="his", kind="mllp", host="127.0.0.1", port=2575, connections=3),
            ListenerStatus(name="archive", kind="dicom", host="127.0.0.1", port=11112, detail="AE ISTHMUS"),
            ListenerStatus(name="http", kind="http", host="127.0.0.1", port=8080),
        ]

    def destinations(self) -> Sequence[DestinationStatus]:
        return [DestinationStatus(name="ris", kind="mllp", address="127.0.0.1:2576", delivered=2, failed=1)]

    def counts(self) -> Counts:
        return Counts(
            messages={"applied": 4, "refused": 1},
            instances={"stored": 5, "duplicate": 0, "collision": 0},
            worklist_queries=7,
            writer_batches=9,
            writer_units=11,
            mllp_connections=3,
            associations=1,
            loop_lag_s=0.0012,
            disk_free_bytes=123_456_789_000,
        )

    async def checks(self) -> Sequence[Check]:
        return self.ready


class Hospital:
    """Everything a test can make happen."""

    def __init__(self, folder: Path) -> None:
        url = sqlite_url(folder / "isthmus.sqlite")
        migrate(url)
        self.engine = open_engine(url)
        self.clock = HandClock()
        self.limits = Limits(body_inline_bytes=4096, disk_floor_bytes=0, disk_floor_share=0.0)
        self.settings = Settings.model_validate({"quiet": {"default": "1s"}, "site": {"timezone": "Europe/Berlin"}})
        self.site = Site(
            folder=None,
            settings=self.settings,
            issuers=self.settings.issuer_table(),
            code_map=CodeMap(),
            revision="0123456789abcdef" * 4,
        )
        self.writer = Writer(self.engine, self.clock, self.limits)
        self.reader = Reader(self.engine)
        self.blobs = FolderStore(folder / "blobs", self.limits)
        self.status = SteadyStatus()
        self._images = ImageIntake(
            site=lambda: self.site, writer=self.writer, wake=_nobody, quiet=_nothing, compare=lambda *_: Sameness.OTHER
        )
        self._quiet = QuietTimer(
            site=lambda: self.site, writer=self.writer, reader=self.reader, clock=self.clock, wake=_nobody
        )

    async def close(self) -> None:
        await self.writer.stop()
        self.reader.close()
        await asyncio.to_thread(self.engine.dispose)

    async def message(
        self,
        fact: OrderFact | PatientFact | None,
        *,
        control_id: str = "MSG1",
        body: bytes | None = None,
        state: MessageState = MessageState.APPLIED,
        code: str = "",
        text: str = "",
    ) -> tuple[RowId, Applied | None]:
        """Journal a message and apply what it says, as the intake does."""
        content = body or (
            f"MSH|^~\\&|HIS|RAD|ISTHMUS|ISTHMUS|20260302080000||ORM^O01|{control_id}|P|2.3\rPID|||4711^^^HOSP\r".encode()
        )

        def work(unit: Unit) -> tuple[RowId, Applied | None]:
            row = unit.new_id()
            applied = None
            if fact is not None:
                applied = apply_fact(unit, fact, "HIS/RAD", row, Desk(site=self.site, wake=_nobody))
            is_large = len(content) > self.limits.body_inline_bytes
            entry = journal.Entry(
                kind="mllp",
                listener="his",
                peer="127.0.0.1:50000",
                sender="HIS/RAD",
                control_id=control_id,
                message_type="ORM^O01",
                body=None if is_large else content,
                body_blob=self.blobs.put(content) if is_large else "",
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                state=MessageState.HELD if applied is not None and applied.held else state,
                code=code,
                text=text,
                routes=("orders-from-his",),
                revision=self.site.revision,
            )
            answer = b"MSH|^~\\&|ISTHMUS\rMSA|AA|" + control_id.encode() + b"\r"
            journal.write(unit, row, entry, unit.now, answer)
            return (row, applied)

        return await self.writer.submit(work)

    async def order(self, accession: str = "A1", *, control_id: str = "MSG1", **said: str) -> RowId:
        """Place an order for TEST^ALPHA; returns its row."""
        row, applied = await self.message(order_fact(accession, **said), control_id=control_id)
        assert applied is not None
        assert applied.order_id is not None, row
        return applied.order_id

    async def list_steps(self, order_id: RowId, calling_ae: str = "CT1") -> None:
        """Show the order's steps to a modality."""

        def work(unit: Unit) -> None:
            rows = unit.connection.exec_driver_sql(
                "select s.id from scheduled_step s join requested_procedure p on p.id = s.procedure_id"
                f" where p.order_id = {order_id}"
            ).fetchall()
            for (step_id,) in rows:
                worklist.note_listing(unit, step_id, calling_ae)
                unit.insert(
                    [
                        Event(
                            id=unit.new_id(),
                            name="step.listed",
                            at=unit.now,
                            order_id=order_id,
                            step_id=step_id,
                            detail=f"shown to {calling_ae}",
                            cause_kind="worklist",
                            cause_id=step_id,
                        )
                    ]
                )

        await self.writer.submit(work)

    async def image(self, number: int, **said: str) -> None:
        """Take an image in."""
        await self._images.accept(instance_fact(number, **said))

    async def quiet(self) -> None:
        """Let the quiet timer fire."""
        self.clock.pass_(seconds=61)
        await self.writer.submit(self._quiet._complete)

    async def notice(
        self, order_id: RowId, state: DeliveryState, answer_code: str = "", answer_text: str = "", *, event_id: int = 0
    ) -> RowId:
        """Post a notice to the RIS and let one attempt end in `state`; READY was not tried yet."""

        def work(unit: Unit) -> RowId:
            row = unit.new_id()
            outbox.post(
                unit,
                row,
                outbox.Posted(
                    route="study-complete-to-ris",
                    kind="mllp",
                    destination="ris",
                    lane=f"study-complete-to-ris/{row}",
                    control_id=f"ISTHMUS{row:010d}",
                    body=b"MSH|^~\\&|ISTHMUS|ISTHMUS|RIS|RIS|20260302080000||OMG^O19|X|P|2.5.1\rORC|SC\r",
                    event_id=RowId(event_id) if event_id else None,
                    event_name="study.completed",
                    order_id=order_id,
                ),
            )
            if state is not DeliveryState.READY:
                head = next(each for each in outbox.heads(unit.connection, "ris", 100) if each.id == row)
                outbox.record_attempt(
                    unit,
                    head,
                    state,
                    due_at=unit.now,
                    answer_code=answer_code,
                    answer_text=answer_text,
                    answer=b"MSH|^~\\&|RIS\rMSA|" + answer_code.encode() + b"|X\r",
                )
            return row

        return await self.writer.submit(work)

    def application(self) -> web.Application:
        app = web.Application()
        add_web(
            app,
            reader=self.reader,
            blobs=self.blobs,
            site=lambda: self.site,
            status=self.status,
            clock=self.clock,
        )
        return app


def _nobody(destination: str) -> None:
    """Nobody delivers in these tests."""


def _nothing() -> None:
    """The quiet timer is fired by hand."""


def patient_fact(name: str = "TEST^ALPHA", number: str = "4711", birth_date: str = "19800229") -> PatientFact:
    return PatientFact(
        identifiers=(IdentifierFact(value=number, issuer="HOSP"),), name=name, birth_date=birth_date, sex="F"
    )


def order_fact(accession: str, **said: str) -> OrderFact:
    patient = patient_fact(
        said.pop("name", "TEST^ALPHA"), said.pop("number", "4711"), said.pop("birth_date", "19800229")
    )
    values: dict[str, str] = {
        "control": "NW",
        "placer_number": f"P{accession}",
        "filler_number": f"F{accession}",
        "accession_number": accession,
        "code": "CTHEAD",
        "description": "CT head",
        "modality": "CT",
        "scheduled_start": "20260302093000",
        "study_uid": f"1.2.3.{int.from_bytes(accession.encode())}",
        **said,
    }
    return OrderFact(patient=patient, **values)  # type: ignore[arg-type]


def instance_fact(number: int, **said: str) -> InstanceFact:
    values: dict[str, str] = {
        "study_uid": f"1.2.3.{int.from_bytes(b'A1')}",
        "patient_id": "4711",
        "issuer": "HOSP",
        "patient_name": "TEST^ALPHA",
        "birth_date": "19800229",
        "sex": "F",
        "accession_number": "A1",
        "study_description": "CT head",
        **said,
    }
    return InstanceFact(
        sop_uid=f"{values['study_uid']}.1.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        series_uid=f"{values['study_uid']}.1",
        transfer_syntax="1.2.840.10008.1.2.1",
        study_date="20260302",
        study_time="093100",
        modality="CT",
        series_number="1",
        instance_number=str(number),
        blob=hashlib.sha256(f"{values['study_uid']} {number}".encode()).hexdigest(),
        size_bytes=1000,
        source_ae="CT1",
        **values,
    )


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    made = Hospital(tmp_path)
    made.writer.start()
    yield made
    await made.close()


Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(hospital: Hospital) -> AsyncIterator[Client]:
    async with TestClient(TestServer(hospital.application())) as made:
        yield made


@pytest.fixture
async def morning(hospital: Hospital) -> RowId:
    """One order on its whole way: placed, shown, two images, linked, complete, the RIS told."""
    order_id = await hospital.order()
    hospital.clock.pass_(minutes=20)
    await hospital.list_steps(order_id)
    hospital.clock.pass_(minutes=15)
    await hospital.image(1)
    hospital.clock.pass_(seconds=2)
    await hospital.image(2)
    await hospital.quiet()
    hospital.clock.pass_(seconds=1)
    await hospital.notice(order_id, DeliveryState.DELIVERED, "AA")
    return order_id
