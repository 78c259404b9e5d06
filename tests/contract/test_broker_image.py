"""Images: counted into their study, linked at the first, guarded against collisions, told when quiet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.image import ImageIntake, InstanceCollision
from engine.broker.intake import MessageIntake
from engine.broker.quiet import QuietTimer
from engine.config.site import load_site
from engine.core.clock import SystemClock
from engine.core.limits import Limits
from engine.records.exchange import Peer, Sameness
from engine.records.fact import InstanceFact, RequestAttributes
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

UID = "1.2.826.0.1.3680043.8.498.1"
FACT = InstanceFact(
    sop_uid=f"{UID}.1.1",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    series_uid=f"{UID}.1",
    study_uid=UID,
    transfer_syntax="1.2.840.10008.1.2.1",
    patient_id="P0001",
    patient_name="TEST^ALPHA",
    birth_date="19800229",
    sex="F",
    accession_number="ACC0001",
    modality="CT",
    blob="b1",
    size_bytes=1000,
    source_ae="CT1",
)


def compare(one: str, other: str) -> Sameness:
    return {"b2": Sameness.OTHER_HEADER, "re-encoded": Sameness.SAME}.get(other, Sameness.OTHER)


@dataclass
class Desk:
    images: ImageIntake
    messages: MessageIntake
    writer: Writer
    reader: Reader
    quiet: QuietTimer

    async def order(self, **values: str) -> None:
        reply = await self.messages.accept(order(**values).encode(), Peer("his", "x"))
        assert b"MSA|AA|" in reply.frames[0], reply

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def holds(self) -> list[str]:
        return [hold["code"] for hold in await self.rows(table.hold)]

    async def names(self) -> list[str]:
        return [event["name"] for event in await self.rows(table.event)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    clock = SystemClock()
    writer, reader = Writer(engine, clock, Limits()), Reader(engine)
    writer.start()
    site = load_site(None, environ={"ISTHMUS_QUIET_S": "0.2"})

    def current() -> Any:
        return site

    def wake(_name: str) -> None:
        return None

    quiet = QuietTimer(site=current, writer=writer, reader=reader, clock=clock, wake=wake)
    images = ImageIntake(site=current, writer=writer, wake=wake, quiet=quiet.arm, compare=compare)
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))
    messages = MessageIntake(site=current, writer=writer, blobs=blobs, wake=wake, limits=Limits())
    yield Desk(images, messages, writer, reader, quiet)
    await writer.stop()
    reader.close()
    engine.dispose()


async def test_an_instance_makes_study_series_and_link_at_once(desk: Desk) -> None:
    await desk.order()
    await desk.images.accept(FACT)
    await desk.images.accept(replace(FACT, sop_uid=f"{UID}.1.2", blob="b2"))
    await desk.images.accept(replace(FACT, sop_uid=f"{UID}.2.1", series_uid=f"{UID}.2", blob="b3"))

    (study,) = await desk.rows(table.study)
    assert (study["series_count"], study["instance_count"], study["state"]) == (2, 3, "RECEIVING")
    assert [series["instance_count"] for series in await desk.rows(table.series)] == [2, 1]
    (link,) = await desk.rows(table.link)
    assert link["rule"] == "B1"
    (procedure,) = await desk.rows(table.requested_procedure)
    (step,) = await desk.rows(table.scheduled_step)
    assert (procedure["state"], step["state"]) == ("IN_PROGRESS", "STARTED")


async def test_the_same_bytes_again_are_success_and_nothing_new(desk: Desk) -> None:
    await desk.images.accept(FACT)
    await desk.images.accept(FACT)

    assert len(await desk.rows(table.instance)) == 1
    assert (await desk.rows(table.study))[0]["instance_count"] == 1
    assert desk.images.counts.duplicate == 1
    assert await desk.holds() == []


async def test_the_same_data_set_in_another_transfer_syntax_is_success_and_nothing_new(desk: Desk) -> None:
    await desk.images.accept(FACT)
    await desk.images.accept(replace(FACT, blob="re-encoded", transfer_syntax="1.2.840.10008.1.2"))

    assert len(await desk.rows(table.instance)) == 1
    assert await desk.holds() == []


async def test_another_header_with_the_same_pixels_keeps_the_first_and_asks_a_person(desk: Desk) -> None:
    await desk.images.accept(FACT)
    for _ in range(2):  # sent again: the answer stays success
        await desk.images.accept(replace(FACT, blob="b2", patient_name="TEST^ALFA"))

    assert [row["served"] for row in await desk.rows(table.instance)] == [1, 0]
    assert await desk.holds() == ["instance_header_differs"]
    assert (await desk.rows(table.study))[0]["instance_count"] == 1


@pytest.mark.parametrize(
    "change",
    [{"blob": "b3"}, {"study_uid": "1.2.3"}, {"series_uid": "1.2.4"}],
    ids=["pixels", "study", "series"],
)
async def test_a_collision_is_refused_but_kept_aside(desk: Desk, change: dict[str, Any]) -> None:
    await desk.images.accept(FACT)

    for _ in range(2):  # a modality tries again: the answer is the same
        with pytest.raises(InstanceCollision):
            await desk.images.accept(replace(FACT, **{"blob": "b2"} | change))

    assert [row["served"] for row in await desk.rows(table.instance)] == [1, 0]
    assert await desk.holds() == ["uid_collision"]
    assert len(await desk.rows(table.study)) == 1


async def test_an_instance_of_another_patient_in_a_linked_study_holds_it(desk: Desk) -> None:
    await desk.order()
    await desk.images.accept(FACT)
    await desk.images.accept(replace(FACT, sop_uid=f"{UID}.1.2", blob="b2", patient_id="P0002"))

    assert await desk.holds() == ["internally_inconsistent"]


async def test_a_quiet_study_is_complete_and_told_once_for_its_procedure(desk: Desk) -> None:
    await desk.order()
    running = asyncio.create_task(desk.quiet.run())
    await desk.images.accept(FACT)

    await _until(desk, "study.completed", 1)
    await desk.images.accept(replace(FACT, sop_uid=f"{UID}.1.2", blob="b2"))
    await _until(desk, "study.completed", 2)
    running.cancel()

    names = await desk.names()
    assert names.count("study.reopened") == 1
    notices = await desk.rows(table.delivery)
    assert [notice["event_name"] for notice in notices] == ["study.completed", "study.completed"]
    assert notices[0]["control_id"] != notices[1]["control_id"]
    assert (await desk.rows(table.imaging_order))[0]["state"] == "ACQUIRED"
    assert (await desk.rows(table.study))[0]["completions"] == 2


async def test_a_held_study_completes_without_a_notice(desk: Desk) -> None:
    await desk.order()
    running = asyncio.create_task(desk.quiet.run())
    await desk.images.accept(replace(FACT, patient_id="P0002"))

    await _until(desk, "study.completed_on_hold", 1)
    running.cancel()

    assert await desk.rows(table.delivery) == []
    assert (await desk.rows(table.imaging_order))[0]["state"] == "SCHEDULED"


async def test_a_late_order_links_and_tells_at_once_what_is_complete_already(desk: Desk) -> None:
    running = asyncio.create_task(desk.quiet.run())
    await desk.images.accept(FACT)
    await _until(desk, "study.completed_unlinked", 1)
    running.cancel()

    await desk.order()

    assert len(await desk.rows(table.delivery)) == 1
    assert (await desk.rows(table.imaging_order))[0]["state"] == "ACQUIRED"


async def test_request_attributes_of_a_later_instance_can_link(desk: Desk) -> None:
    await desk.order(study_uid="")
    stray = replace(FACT, study_uid="1.2.77", series_uid="1.2.77.1", accession_number="")
    await desk.images.accept(stray)
    assert await desk.rows(table.link) == []
    named = RequestAttributes(accession_number="ACC0001", sps_id="ACC0001-1", rp_id="ACC0001-1")

    await desk.images.accept(replace(stray, sop_uid="1.2.77.1.2", blob="b2", request_attributes=(named,)))

    assert [link["rule"] for link in await desk.rows(table.link)] == ["B2"]


async def _until(desk: Desk, name: str, count: int) -> None:
    async with asyncio.timeout(20):
        while (await desk.names()).count(name) < count:
            await asyncio.sleep(0.02)
