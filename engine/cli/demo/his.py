"""A HIS that speaks HL7 v2: one MLLP line, one message at a time, with a socket of its own to be independent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Self

from engine.cli.demo.cast import ISSUER, Exam, Person
from engine.hl7.acknowledgement import Ack, read_ack


class LineClosed(ConnectionError):
    """The engine closed the line instead of answering."""


class His:
    """An MLLP sender; what it opened is closed by `async with`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    async def send(self, body: bytes) -> bytes:
        """Send one message and return the bytes of its answer.

        Raises:
            LineClosed: the line was closed, or was never open.
        """
        if self._reader is None or self._writer is None:
            raise LineClosed("the line is not open")
        self._writer.write(b"\x0b" + body + b"\x1c\r")
        await self._writer.drain()
        try:
            frame = await self._reader.readuntil(b"\x1c\r")
        except asyncio.IncompleteReadError as cause:
            raise LineClosed("the engine closed the line") from cause
        return frame.removeprefix(b"\x0b").removesuffix(b"\x1c\r")

    async def ask(self, body: bytes) -> Ack:
        """Send one message and return its acknowledgement.

        Raises:
            LineClosed: the line was closed.
            PeerError: the answer is none.
        """
        return read_ack(await self.send(body))


def registration(person: Person, control_id: str, trigger: str = "A01") -> bytes:
    """Return an ADT: A01 admits, A08 updates."""
    return _message(
        _msh(f"ADT^{trigger}^ADT_A01", control_id, "2.5.1"),
        f"EVN|{trigger}|{_now()}",
        _pid(person),
        "PV1|1|I|WARD1^ROOM2^BED3||||||||||||||||VN1001^^^HOSP",
    )


def orm_order(exam: Exam, control_id: str) -> bytes:
    """Return an order as ORM^O01, as most systems send it; with a ZDS when there is a Study Instance UID."""
    segments = [
        _msh("ORM^O01", control_id, "2.3.1"),
        _pid(exam.person),
        "PV1|1|O|RAD",
        f"ORC|NW|{exam.placer_number}^HIS|||SC||^^^{_now()}^^R",
        f"{_obr(exam)}||||||||||||||{exam.accession_number}||||||{exam.modality}",
    ]
    if exam.study_uid:
        segments.append(f"ZDS|{exam.study_uid}^HIS^Application^DICOM")
    return _message(*segments)


def omi_order(exam: Exam, control_id: str) -> bytes:
    """Return an order as OMI^O23, the form made for imaging: its IPC names device and Study Instance UID."""
    number = exam.accession_number
    return _message(
        _msh("OMI^O23^OMI_O23", control_id, "2.5.1"),
        _pid(exam.person),
        "PV1|1|O|RAD",
        f"ORC|NW|{exam.placer_number}^HIS|||SC",
        f"TQ1|1||||||{_now()}||R",
        _obr(exam),
        f"IPC|{number}|RP-{number}|{exam.study_uid}|SPS-{number}|{exam.modality}|||RAD|{exam.station_ae}",
    )


def _message(*segments: str) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def _msh(structure: str, control_id: str, version: str) -> str:
    return f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|{_now()}||{structure}|{control_id}|P|{version}"


def _pid(person: Person) -> str:
    return f"PID|1||{person.patient_id}^^^{ISSUER}^MR||{person.name}||{person.birth_date}|{person.sex}"


def _obr(exam: Exam) -> str:
    return f"OBR|1|{exam.placer_number}^HIS||{exam.code}^{exam.description}^C4"


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}+0000"
