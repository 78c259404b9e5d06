"""Orders over MLLP: one message in flight on each connection, the next one when the answer is there."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.bench.figure import Figure, percentile_ms
from tests.bench.serving import Serving, orders_with

ANSWERED_WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Order:
    """One invented order, and everything that must come back in worklist and images."""

    number: int
    accession: str
    study_uid: str = field(default_factory=lambda: f"2.25.{uuid.uuid4().int}")

    @property
    def patient_id(self) -> str:
        """Return PID-3.1."""
        return f"P{self.accession}"

    @property
    def control_id(self) -> str:
        """Return MSH-10."""
        return f"C{self.accession}"

    def message(self, now: datetime) -> bytes:
        """Return an ORM^O01 of about 1 KB, as a RIS with ZDS sends it."""
        stamp = now.strftime("%Y%m%d%H%M%S")
        placer, filler = f"{self.accession}P^HIS", f"{self.accession}F^RIS"
        visit, when = f"V{self.accession}^^^HOSP^VN", f"^^^{stamp}^^R"
        referrer = "1001^REFERRER^TEST^^^DR"
        patient = {
            1: "1",
            3: f"{self.patient_id}^^^HOSP^MR~N{self.accession}^^^HOSP^NI",
            5: f"TEST{self.number:05d}^ALPHA^BRAVO^^DR^^L",
            7: "19700131",
            8: "F",
            11: "1 INVENTED STREET^^NOWHERE^^00000^XX",
            13: "^PRN^PH^^^000^0000000",
            18: visit,
        }
        place = {1: "1", 2: "O", 3: "RAD^WAITING^1^HOSP", 7: referrer, 8: referrer, 17: referrer, 19: visit, 44: stamp}
        control = {
            1: "NW",
            2: placer,
            3: filler,
            5: "SC",
            7: when,
            9: stamp,
            10: "2001^CLERK^TEST",
            12: referrer,
            13: "WARD1",
            14: "^WPN^PH^^^000^0000001",
            17: "HOSP^HOSPITAL^L",
        }
        request = {
            1: "1",
            2: placer,
            3: filler,
            4: "71260^CT CHEST WITH CONTRAST^C4",
            7: stamp,
            13: "QUESTION OF NODULE, INVENTED",
            15: "CHEST",
            16: referrer,
            18: self.accession,
            19: "RP1",
            20: "SPS1",
            24: "CT",
            27: when,
            31: "^INVENTED REASON",
            36: stamp,
        }
        head = f"MSH|^~\\&|BENCH|HOSP|ISTHMUS|RAD|{stamp}||ORM^O01^ORM_O01|{self.control_id}|P|2.5.1||||||UNICODE UTF-8"
        study = {1: f"{self.study_uid}^HOSP^Application^DICOM"}
        named = (("PID", patient), ("PV1", place), ("ORC", control), ("OBR", request), ("ZDS", study))
        return "\r".join((head, *(_segment(name, fields) for name, fields in named), "")).encode()


def _segment(name: str, fields: dict[int, str]) -> str:
    return "|".join((name, *(fields.get(n, "") for n in range(1, max(fields) + 1))))


def orders(prefix: str, number: int) -> list[Order]:
    """Return new orders; accession numbers are `prefix` (unique in a run) and a counter."""
    return [Order(n, f"{prefix}{n:06d}") for n in range(number)]


class _Sender(asyncio.Protocol):
    """One connection that takes the next order when its last one is answered."""

    def __init__(self, frames: Iterator[tuple[bytes, bytes]], waits_s: list[float]) -> None:
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._frames = frames
        self._waits_s = waits_s
        self._answer = bytearray()
        self._expected = b""
        self._wrong = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        following = next(self._frames, None)
        if following is None:
            self.done.set_result(self._wrong)
            self._transport.close()
            return
        self._expected, frame = following
        self._sent = time.perf_counter()
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.endswith(b"\x1c\r"):
            return
        self._waits_s.append(time.perf_counter() - self._sent)
        self._wrong += self._expected not in self._answer
        self._answer.clear()
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the engine closed the connection without an answer"))


async def _send(port: int, frames: Iterator[tuple[bytes, bytes]], connections: int, waits_s: list[float]) -> int:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        senders = [
            (await loop.create_connection(lambda: _Sender(frames, waits_s), "127.0.0.1", port))[1]
            for _ in range(connections)
        ]
        return sum(await asyncio.gather(*(sender.done for sender in senders)))


def place(engine: Serving, placed: Sequence[Order], *, connections: int) -> Figure:
    """Send orders; every answer must be the AA of its own message. Waits are from last byte out to last byte in."""
    now = datetime.now(UTC)
    frames = [(b"MSA|AA|" + order.control_id.encode(), b"\x0b" + order.message(now) + b"\x1c\r") for order in placed]
    waits_s: list[float] = []
    cpu_s = engine.cpu_s()
    started = time.perf_counter()
    wrong = asyncio.run(_send(engine.mllp_port, iter(frames), connections, waits_s))
    seconds = time.perf_counter() - started
    return Figure(
        what=f"orders over MLLP, {connections} connection{'s' if connections > 1 else ''}",
        number=len(placed),
        seconds=seconds,
        engine_cpu_s=engine.cpu_s() - cpu_s,
        wrong=wrong,
        p50_ms=percentile_ms(waits_s, 0.5),
        p99_ms=percentile_ms(waits_s, 0.99),
    )


def look_up(engine: Serving, placed: Sequence[Order]) -> Figure:
    """Ask the API for every order by its accession number; each must be there exactly once."""
    connection = engine.connect()
    waits_s: list[float] = []
    wrong = 0
    cpu_s = engine.cpu_s()
    started = time.perf_counter()
    for order in placed:
        asked = time.perf_counter()
        found = orders_with(connection, order.accession)
        waits_s.append(time.perf_counter() - asked)
        wrong += [row.get("accession_number") for row in found] != [order.accession]
    seconds = time.perf_counter() - started
    connection.close()
    return Figure(
        what="orders found again, GET /api/orders",
        number=len(placed),
        seconds=seconds,
        engine_cpu_s=engine.cpu_s() - cpu_s,
        wrong=wrong,
        p50_ms=percentile_ms(waits_s, 0.5),
        p99_ms=percentile_ms(waits_s, 0.99),
    )
