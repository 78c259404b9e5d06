"""The listener over real sockets: pynetdicom as the peer for what is in order, raw bytes for what is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEGLSLossless
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    CTImageStorage,
    ModalityWorklistInformationFind,
    Verification,
)

from engine.connectors.dicom.server import DicomServer
from engine.connectors.dicom.service import PeerAe
from engine.connectors.dicom.storage import StorageService
from engine.connectors.dicom.verification import VerificationService
from engine.connectors.dicom.worklist import WorklistService
from engine.core.errors import PeerError, StorageError
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom import command as dimse
from engine.dicom import pdu
from engine.dicom.pdu import Abort, AssociateRequest, ProposedContext
from engine.dicom.user_information import UserInformation

CT = str(CTImageStorage)
MWL = str(ModalityWorklistInformationFind)
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
NO_MESSAGE_ID = dimse.encode({"CommandField": 0x30, "CommandDataSetType": 0x0101})


@dataclass
class Bin:
    """A sink that keeps what it gets, and fails where a test says."""

    kept: list[tuple[str, str, bytes]] = field(default_factory=list)
    peers: list[PeerAe] = field(default_factory=list)
    discarded: asyncio.Event = field(default_factory=asyncio.Event)
    on_begin: Exception | None = None
    on_write: Exception | None = None
    on_finish: Exception | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    finishing: asyncio.Event = field(default_factory=asyncio.Event)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_finish.set()

    def begin(self, *, sop_class: str, sop_uid: str, transfer_syntax: str, peer: PeerAe) -> Kept:
        if self.on_begin is not None:
            raise self.on_begin
        self.peers.append(peer)
        self.begun.set()
        return Kept(self, sop_uid, transfer_syntax)


@dataclass
class Kept:
    bin: Bin
    sop_uid: str
    transfer_syntax: str
    data: bytearray = field(default_factory=bytearray)

    def write(self, fragment: bytes | memoryview) -> None:
        if self.bin.on_write is not None:
            raise self.bin.on_write
        self.data += fragment

    async def finish(self) -> None:
        self.bin.finishing.set()
        await self.bin.may_finish.wait()
        if self.bin.on_finish is not None:
            raise self.bin.on_finish
        self.bin.kept.append((self.sop_uid, self.transfer_syntax, bytes(self.data)))

    def discard(self) -> None:
        self.bin.discarded.set()


@dataclass
class Steps:
    """A worklist source with prepared answers."""

    found: list[tuple[int, bytes]] = field(default_factory=list)
    error: Exception | None = None
    endless: bool = False
    asked: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def answers(self, identifier: bytes, transfer_syntax: str, peer: PeerAe) -> AsyncIterator[tuple[int, bytes]]:
        self.asked.append(identifier)
        try:
            for answer in self.found:
                yield answer
            while self.endless:
                for answer in self.found:
                    yield answer
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


class House:
    """A listener with its doubles."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, **options: Any) -> None:
        self.bin, self.steps = Bin(), Steps()
        self.server = DicomServer(
            name="test",
            ae_title="ISTHMUS",
            host="127.0.0.1",
            port=0,
            services=(VerificationService(), StorageService(self.bin), WorklistService(self.steps, limits=limits)),
            limits=limits,
            **options,
        )


@asynccontextmanager
async def open_house(limits: Limits = DEFAULT_LIMITS, **options: Any) -> AsyncIterator[House]:
    house = House(limits, **options)
    await house.server.start()
    try:
        yield house
    finally:
        await house.server.stop()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as found:
        yield found


def image(uid: str = "2.25.1", size: int = 300_000) -> Dataset:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CT, uid
    image.PatientName, image.PatientID = "TEST^ALPHA", "4711"
    image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.2", "2.25.3"
    image.Rows = image.Columns = 8
    image.BitsAllocated = 16
    image.add_new(0x7FE00010, "OW", bytes(size))
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = EXPLICIT
    return image


def scu(port: int, work: Callable[[Any], Any], *, called: str = "ISTHMUS", calling: str = "CT1") -> Any:
    """Run `work` on an association that pynetdicom opened; for a thread."""
    ae = AE(ae_title=calling)
    ae.add_requested_context(Verification)
    ae.add_requested_context(CT, [EXPLICIT, IMPLICIT])
    ae.add_requested_context(MWL, [EXPLICIT])
    association = ae.associate("127.0.0.1", port, ae_title=called)
    try:
        return work(association)
    finally:
        if association.is_established:
            association.release()


async def with_scu(house: House, work: Callable[[Any], Any], **titles: str) -> Any:
    return await asyncio.to_thread(scu, house.server.port, work, **titles)


async def test_echo(house: House) -> None:
    assert (await with_scu(house, lambda association: association.send_c_echo().Status)) == 0
    assert house.server.answered(dimse.Operation.C_ECHO) == 1


async def test_images_arrive_as_they_were_sent_one_after_the_other(house: House) -> None:
    def store(association: Any) -> list[int]:
        return [association.send_c_store(image(f"2.25.{n}")).Status for n in range(5)]

    assert await with_scu(house, store) == [0] * 5

    assert [(uid, syntax) for uid, syntax, _ in house.bin.kept] == [(f"2.25.{n}", EXPLICIT) for n in range(5)]
    assert all(data.endswith(bytes(300_000)) for _, _, data in house.bin.kept)
    assert house.server.received == 5
    (peer, *_) = house.bin.peers
    assert (peer.calling_ae, peer.called_ae, peer.address, peer.association_id) == ("CT1", "ISTHMUS", "127.0.0.1", 1)


@pytest.mark.parametrize("when", ["on_begin", "on_write", "on_finish"])
@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (StorageError("out of storage", code="STO-101"), 0xA700, "STO-101 out of storage"),
        (PeerError("no", where="StudyInstanceUID", code="DCM-112"), 0xC001, "DCM-112 no"),
        (RuntimeError("TEST^ALPHA"), 0x0110, "BUG-101 processing failure "),
    ],
)
async def test_an_error_is_answered_and_the_association_lives(
    house: House, when: str, error: Exception, status: int, comment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def store(association: Any) -> tuple[Any, int]:
        return association.send_c_store(image()), association.send_c_echo().Status

    setattr(house.bin, when, error)
    answer, echo = await with_scu(house, store)

    assert (answer.Status, echo) == (status, 0)
    assert answer.ErrorComment.startswith(comment)
    assert house.bin.kept == []
    assert house.bin.discarded.is_set() == (when == "on_write")
    assert "TEST^ALPHA" not in "".join(capsys.readouterr())


async def test_success_waits_until_the_sink_is_done(house: House) -> None:
    house.bin.may_finish.clear()
    answer = asyncio.ensure_future(with_scu(house, lambda association: association.send_c_store(image()).Status))

    await house.bin.finishing.wait()
    assert not answer.done()
    house.bin.may_finish.set()

    assert await answer == 0


async def test_a_worklist_is_answered_in_order_then_done(house: House) -> None:
    answers = [identifier(f"TEST^{n}") for n in range(100)]
    house.steps.found = [(0xFF00 + n % 2, answer) for n, answer in enumerate(answers)]

    def find(association: Any) -> list[tuple[int, str]]:
        query = Dataset()
        query.PatientName = "TEST*"
        return [
            (status.Status, str(found.PatientName) if found else "")
            for status, found in association.send_c_find(query, MWL)
        ]

    found = await with_scu(house, find)

    assert found == [*[(0xFF00 + n % 2, f"TEST^{n}") for n in range(100)], (0, "")]
    assert house.steps.asked == [identifier("TEST*")]


def identifier(name: str) -> bytes:
    value = name.encode() + b" " * (len(name) % 2)
    return b"\x10\0\x10\0PN" + len(value).to_bytes(2, "little") + value


@pytest.mark.parametrize(
    ("error", "status", "offending"),
    [
        (
            PeerError("sequence with 2 items", where="ScheduledProcedureStepSequence", code="DCM-120"),
            0xA900,
            0x00400100,
        ),
        (PeerError("bad range", where="ScheduledProcedureStepStartDate", code="DCM-121"), 0xC000, 0x00400002),
        (PeerError("more than 2 matches", code="DCM-123"), 0xA700, None),
        (KeyError("x"), 0x0110, None),
    ],
)
async def test_a_query_fails_after_what_was_found(
    house: House, error: Exception, status: int, offending: int | None
) -> None:
    house.steps.found = [(0xFF00, identifier("TEST^A"))]
    house.steps.error = error

    def find(association: Any) -> list[Dataset]:
        return [status for status, _ in association.send_c_find(Dataset_of("TEST*"), MWL)]

    pending, final = await with_scu(house, find)

    assert (pending.Status, final.Status) == (0xFF00, status)
    assert final.get("OffendingElement") == offending
    assert house.steps.closed.is_set()


def Dataset_of(name: str) -> Dataset:  # noqa: N802
    query = Dataset()
    query.PatientName = name
    return query


async def test_cancel_is_heard_between_responses(house: House) -> None:
    house.steps.found = [(0xFF00, identifier("TEST^A"))]
    house.steps.endless = True

    def find(association: Any) -> int:
        for number, (status, _) in enumerate(association.send_c_find(Dataset_of("TEST*"), MWL, msg_id=7)):
            if number == 3:
                association.send_c_cancel(7, query_model=MWL)
            if status.Status not in (0xFF00, 0xFF01):
                return int(status.Status)
        return -1

    assert await with_scu(house, find) == 0xFE00
    assert house.steps.closed.is_set()


async def test_who_is_let_in() -> None:
    async with open_house(allowed_calling=frozenset({"CT1"})) as house:

        def reason(association: Any) -> tuple[int, int, int]:
            rejected = association.acceptor.primitive
            return (rejected.result, rejected.result_source, rejected.diagnostic)

        assert await with_scu(house, reason, called="OTHER") == (1, 1, 7)
        assert await with_scu(house, reason, calling="OTHER") == (1, 1, 3)
        assert await with_scu(house, lambda association: association.is_established) is True
        assert (house.server.accepted, house.server.refused) == (1, 2)
    async with open_house(strict_ae=False) as house:
        assert await with_scu(house, lambda association: association.is_established, called="ANY") is True


async def test_no_more_associations_than_the_limit() -> None:
    limits = replace(DEFAULT_LIMITS, associations=2, associations_per_ae=1)
    async with open_house(limits) as house, Raw.open(house) as first, Raw.open(house, calling="MR1") as second:
        assert first.accepted
        assert second.accepted
        for calling in ("CT1", "XA1"):
            async with Raw.open(house, calling=calling) as third:
                assert third.answer == pdu.encode_reject(pdu.AssociateReject(2, 3, 2))
        assert house.server.associations == 2


async def test_far_too_many_connections_are_not_listened_to() -> None:
    async with open_house(replace(DEFAULT_LIMITS, associations=1)) as house, contextlib.AsyncExitStack() as waiting:
        for _ in range(4):
            await waiting.enter_async_context(Raw.open(house, request=b"\1"))

        async with Raw.open(house, request=b"") as last:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await last.pdu()


async def test_contexts_that_are_not_ours(house: House) -> None:
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.3.4")
    ae.add_requested_context(CT, ["1.2.840.10008.1.2.1.99"])
    ae.add_requested_context(CT, [JPEGLSLossless, IMPLICIT])

    def associate() -> Any:
        association = ae.associate("127.0.0.1", house.server.port, ae_title="ISTHMUS")
        association.release()
        return association

    association = await asyncio.to_thread(associate)

    assert [context.result for context in association.rejected_contexts] == [3, 4]
    assert [context.transfer_syntax for context in association.accepted_contexts] == [[JPEGLSLossless]]


# -- bytes of our own, for what no decent peer sends -----------------------------------------------------------------


class Raw:
    """A peer that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answer = b""

    @property
    def accepted(self) -> bool:
        return self.answer[:1] == b"\2"

    @classmethod
    @asynccontextmanager
    async def open(cls, house: House, *, request: bytes | None = None, calling: str = "CT1") -> AsyncIterator[Raw]:
        raw = cls(*await asyncio.open_connection("127.0.0.1", house.server.port))
        raw.writer.write(
            request
            if request is not None
            else pdu.encode_request(
                AssociateRequest(
                    called_ae="ISTHMUS",
                    calling_ae=calling,
                    contexts=(
                        ProposedContext(1, "1.2.840.10008.1.1", (IMPLICIT,)),
                        ProposedContext(3, CT, (EXPLICIT,)),
                        ProposedContext(5, MWL, (EXPLICIT,)),
                    ),
                    user=UserInformation(max_length=16384),
                )
            )
        )
        if request is None:
            raw.answer = await raw.pdu()
        try:
            yield raw
        finally:
            raw.writer.close()
            with contextlib.suppress(ConnectionError):  # a listener that stops may cut what it did not read
                await raw.writer.wait_closed()

    async def pdu(self) -> bytes:
        head = await self.reader.readexactly(6)
        return head + await self.reader.readexactly(int.from_bytes(head[2:], "big"))

    async def response(self) -> dimse.Command:
        return dimse.decode((await self.pdu())[12:])

    def command(self, context_id: int, **elements: dimse.Value) -> bytes:
        command: dimse.Command = {"MessageID": 1, "CommandDataSetType": 0x0101, **elements}
        return dimse.p_data(context_id, is_command=True, payload=dimse.encode(command), max_pdu=0)

    def store(self, message_id: int = 1, **elements: dimse.Value) -> bytes:
        return self.command(
            3,
            **{
                "CommandField": 1,
                "MessageID": message_id,
                "AffectedSOPClassUID": CT,
                "AffectedSOPInstanceUID": f"2.25.{message_id}",
                "CommandDataSetType": 1,
                **elements,
            },
        )


def data(context_id: int = 3, payload: bytes = b"data", *, ends: bool = True) -> bytes:
    return dimse.p_data(context_id, is_command=False, payload=payload, max_pdu=0, ends=ends)


@pytest.fixture
async def raw(house: House) -> AsyncIterator[Raw]:
    async with Raw.open(house) as found:
        yield found


@pytest.mark.parametrize(
    ("elements", "status"),
    [
        ({"AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, 0x0122),
        ({"AffectedSOPInstanceUID": "1.2.x"}, 0xA900),
        ({"AffectedSOPInstanceUID": ""}, 0xC001),
        ({"AffectedSOPClassUID": ""}, 0xC001),
        ({"CommandField": 0x0021}, 0x0211),
        ({"CommandField": 0x0ABC}, 0x0211),
    ],
)
async def test_a_command_that_does_not_fit(raw: Raw, house: House, elements: dict[str, Any], status: int) -> None:
    raw.writer.write(raw.store(**elements) + data(payload=bytes(100_000)) + raw.command(1, CommandField=0x30))

    refused, echo = await raw.response(), await raw.response()

    assert refused["Status"] == status
    assert refused["CommandField"] == elements.get("CommandField", 1) | 0x8000
    assert len(str(refused["ErrorComment"])) <= 64
    assert echo["Status"] == 0
    assert house.bin.kept == []


async def test_a_store_without_a_data_set_and_a_find_of_another_class(raw: Raw) -> None:
    raw.writer.write(raw.store(CommandDataSetType=0x0101))
    raw.writer.write(raw.command(5, CommandField=0x20, AffectedSOPClassUID="1.2.3", CommandDataSetType=1) + data(5))
    raw.writer.write(raw.command(5, CommandField=0x20, AffectedSOPClassUID=MWL))

    assert [(await raw.response())["Status"] for _ in range(3)] == [0xC000, 0x0122, 0xA900]


async def test_an_identifier_has_a_limit() -> None:
    async with open_house(replace(DEFAULT_LIMITS, identifier_bytes=10)) as house, Raw.open(house) as raw:
        raw.writer.write(raw.command(5, CommandField=0x20, AffectedSOPClassUID=MWL, CommandDataSetType=1))
        raw.writer.write(data(5, b"x" * 11))

        assert (await raw.response())["Status"] == 0xA900
        assert house.steps.asked == []


async def test_a_second_store_waits_for_the_first(raw: Raw, house: House) -> None:
    house.bin.may_finish.clear()
    raw.writer.write(b"".join(raw.store(n) + data(payload=bytes([n]) * 70_000) for n in range(1, 20)))
    raw.writer.write(pdu.RELEASE_RQ)

    await house.bin.finishing.wait()
    assert len(house.bin.peers) == 1
    house.bin.may_finish.set()

    assert [(await raw.response())["MessageIDBeingRespondedTo"] for _ in range(1, 20)] == list(range(1, 20))
    assert await raw.pdu() == pdu.RELEASE_RP
    assert [content for _, _, content in house.bin.kept] == [bytes([n]) * 70_000 for n in range(1, 20)]


@pytest.mark.parametrize("polite", [True, False])
async def test_an_association_cut_in_a_data_set_discards_it(raw: Raw, house: House, *, polite: bool) -> None:
    raw.writer.write(raw.store() + data(ends=False))
    if polite:
        raw.writer.write(pdu.encode_abort(Abort(0, 0)))
    else:
        raw.writer.close()

    await house.bin.discarded.wait()
    assert house.bin.kept == []


async def test_a_store_that_is_complete_is_seen_through_when_the_peer_goes(raw: Raw, house: House) -> None:
    house.bin.may_finish.clear()
    raw.writer.write(raw.store() + data())
    await house.bin.finishing.wait()
    raw.writer.close()
    await raw.writer.wait_closed()
    house.bin.may_finish.set()

    await house.server.stop()
    assert len(house.bin.kept) == 1


async def test_a_query_stops_when_the_peer_goes(raw: Raw, house: House) -> None:
    house.steps.endless = True
    house.steps.found = [(0xFF00, identifier("TEST^A"))]
    raw.writer.write(raw.command(5, CommandField=0x20, AffectedSOPClassUID=MWL, CommandDataSetType=1) + data(5))
    await raw.pdu()
    raw.writer.transport.abort()

    await house.steps.closed.wait()


async def test_a_peer_that_does_not_read_is_given_up() -> None:
    limits = replace(DEFAULT_LIMITS, association_idle_s=0.05, association_request_s=0.05)
    async with open_house(limits) as house, Raw.open(house) as raw:
        raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
        house.steps.endless = True
        house.steps.found = [(0xFF00, bytes(60_000))]
        raw.writer.write(raw.command(5, CommandField=0x20, AffectedSOPClassUID=MWL, CommandDataSetType=1) + data(5))

        await house.steps.closed.wait()
        assert house.server.associations == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda _: data(), 2),
        (lambda raw: raw.store() + raw.command(1, CommandField=0x30), 2),
        (lambda raw: raw.store() + data(1), 6),
        (lambda raw: raw.command(99, CommandField=0x30), 6),
        (lambda raw: raw.command(1, CommandField=0x8030, Status=0), 2),
        (lambda _: dimse.p_data(1, is_command=True, payload=NO_MESSAGE_ID, max_pdu=0), 6),
        (lambda _: dimse.p_data(1, is_command=True, payload=b"not a command", max_pdu=0), 6),
        (lambda _: dimse.p_data(1, is_command=True, payload=bytes(70_000), max_pdu=0), 6),
        (lambda _: b"\4\0\xff\xff\xff\xff", 6),
        (lambda _: b"\x42\0\0\0\0\0", 1),
    ],
)
async def test_a_peer_without_manners_is_aborted(
    raw: Raw, house: House, wrong: Callable[[Raw], bytes], reason: int
) -> None:
    raw.writer.write(wrong(raw))

    assert await raw.pdu() == pdu.encode_abort(Abort(2, reason))
    assert house.server.associations == 0
    assert house.bin.kept == []


@pytest.mark.parametrize(
    ("request_bytes", "limits"),
    [
        (b"", {"association_request_s": 0.05}),
        (None, {"association_idle_s": 0.05}),
        (b"\1\0\0\0\0\xff", {"association_request_s": 0.05}),
    ],
)
async def test_silence_is_ended(request_bytes: bytes | None, limits: dict[str, float]) -> None:
    async with open_house(replace(DEFAULT_LIMITS, **limits)) as house, Raw.open(house, request=request_bytes) as raw:  # type: ignore[arg-type]
        assert await raw.pdu() == pdu.encode_abort(Abort(2, 0))


async def test_an_open_pdu_is_ended() -> None:
    async with open_house(replace(DEFAULT_LIMITS, pdu_open_s=0.05)) as house, Raw.open(house) as raw:
        raw.writer.write((raw.store() + data(payload=bytes(1000)))[:-1])

        assert await raw.pdu() == pdu.encode_abort(Abort(2, 0))
        assert house.bin.discarded.is_set()


async def test_after_an_abort_the_connection_is_closed_even_if_the_peer_stays() -> None:
    async with open_house(replace(DEFAULT_LIMITS, association_request_s=0.05)) as house, Raw.open(house) as raw:
        raw.writer.write(b"\x42\0\0\0\0\0")
        await raw.pdu()

        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await raw.pdu()


async def test_silence_while_we_work_is_no_offence() -> None:
    async with open_house(replace(DEFAULT_LIMITS, association_idle_s=0.01)) as house, Raw.open(house) as raw:
        house.bin.may_finish.clear()
        raw.writer.write(raw.store() + data())
        await house.bin.finishing.wait()
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, house.bin.may_finish.set)

        assert (await raw.response())["Status"] == 0


async def test_stopping_finishes_what_is_being_worked_on() -> None:
    async with open_house() as house, Raw.open(house) as busy, Raw.open(house, calling="MR1") as idle:
        house.bin.may_finish.clear()
        busy.writer.write(busy.store() + data())
        await house.bin.finishing.wait()

        stopping = asyncio.ensure_future(house.server.stop())
        assert await idle.pdu() == pdu.encode_abort(Abort(0, 0))
        house.bin.may_finish.set()
        assert (await busy.response())["Status"] == 0
        assert await busy.pdu() == pdu.encode_abort(Abort(0, 0))
        await stopping


async def test_stopping_does_not_wait_for_ever() -> None:
    async with open_house(replace(DEFAULT_LIMITS, shutdown_s=0.05)) as house, Raw.open(house) as raw:
        raw.writer.write(raw.store() + data(ends=False))
        raw.writer.write(raw.command(1, CommandField=0x30)[:3])
        await house.bin.begun.wait()

        await house.server.stop()

        assert house.bin.discarded.is_set()


async def test_a_connection_without_an_association_does_not_hold_up_the_stop() -> None:
    async with open_house() as house, Raw.open(house, request=b"\1"):
        await house.server.stop()
