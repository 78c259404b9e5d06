"""A HIS that sends: one MLLP connection, one message at a time, and small invented orders."""

from __future__ import annotations

import asyncio

from engine.hl7.message import Message


class His:
    """An MLLP sender. `send` returns the answer's frames as text; "" when the connection was closed instead."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> His:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, body: bytes | str) -> None:
        """Send without waiting for an answer."""
        assert self._writer is not None
        self._writer.write(b"\x0b" + (body.encode() if isinstance(body, str) else body) + b"\x1c\r")

    async def send(self, body: bytes | str, within_s: float = 30.0) -> str:
        assert self._writer is not None
        self.write(body)
        await self._writer.drain()
        return await self.receive(within_s)

    async def receive(self, within_s: float = 30.0) -> str:
        """Return the next answer."""
        assert self._reader is not None
        async with asyncio.timeout(within_s):
            try:
                frame = await self._reader.readuntil(b"\x1c\r")
            except asyncio.IncompleteReadError:
                return ""
        return frame.strip(b"\x0b\x1c\r").decode()

    async def code(self, body: bytes | str) -> str:
        """Return MSA-1 of the answer."""
        answer = Message.parse((await self.send(body)).encode())
        return answer.get("MSA-1") or ""


def order(  # every part of an order that a test may want to vary
    *,
    accession: str = "ACC0001",
    control_id: str = "M1",
    control: str = "NW",
    status: str = "SC",
    patient_id: str = "P0001",
    issuer: str = "HOSP",
    name: str = "TEST^ALPHA",
    birth_date: str = "19800229",
    sex: str = "F",
    modality: str = "CT",
    start: str = "20261121093000",
    study_uid: str = "1.2.826.0.1.3680043.8.498.1",
    code: str = "CTABD",
) -> str:
    """Return an ORM^O01; with a ZDS unless `study_uid` is empty."""
    number = accession.removeprefix("ACC")
    segments = [
        f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121080000||ORM^O01|{control_id}|P|2.3.1",
        f"PID|1||{patient_id}^^^{issuer}^MR||{name}||{birth_date}|{sex}",
        "PV1|1|O|RAD",
        f"ORC|{control}|PL{number}^HIS|FL{number}^RIS||{status}||^^^{start}",
        f"OBR|1|PL{number}^HIS|FL{number}^RIS|{code}^CT abdomen^L||||||||||||||{accession}||||||{modality}",
    ]
    if study_uid:
        segments.append(f"ZDS|{study_uid}^^Application^DICOM")
    return "\r".join(segments) + "\r"
