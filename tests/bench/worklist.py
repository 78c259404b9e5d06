"""Worklist queries from plain sockets with prepared bytes, so that the asking costs next to nothing.

Source: DICOM PS3.8 section 9.3 (PDUs), PS3.7 section 9.3.2 (C-FIND), PS3.4 annex K (Modality Worklist).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Self

from tests.bench.figure import Figure, percentile_ms
from tests.bench.orders import Order
from tests.bench.serving import Serving

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
PENDING = (0xFF00, 0xFF01)
NO_DATA_SET = 0x0101
ANSWERED_WITHIN_S = 60.0


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _element(group: int, element: int, value: bytes = b"") -> bytes:
    return struct.pack("<HHL", group, element, len(value)) + value


def _even(text: str, padding: bytes) -> bytes:
    value = text.encode()
    return value + padding if len(value) % 2 else value


def _association_request() -> bytes:
    context = _item(0x30, MODALITY_WORKLIST.encode()) + _item(0x40, IMPLICIT_VR_LITTLE_ENDIAN.encode())
    user = _item(0x51, struct.pack(">L", 262144)) + _item(0x52, b"2.25.1")
    body = (
        struct.pack(">HH16s16s32x", 1, 0, b"ISTHMUS".ljust(16), b"BENCH".ljust(16))
        + _item(0x10, APPLICATION_CONTEXT.encode())
        + _item(0x20, bytes((1, 0, 0, 0)) + context)
        + _item(0x50, user)
    )
    return struct.pack(">BBL", 0x01, 0, len(body)) + body


def _p_data(flags: int, content: bytes) -> bytes:
    return struct.pack(">BBLLBB", 0x04, 0, len(content) + 6, len(content) + 2, 1, flags) + content


def query(accession: str) -> bytes:
    """Return one whole C-FIND request for an accession number, ready to be sent."""
    command = (
        _element(0x0000, 0x0002, _even(MODALITY_WORKLIST, b"\0"))
        + _element(0x0000, 0x0100, struct.pack("<H", 0x0020))
        + _element(0x0000, 0x0110, struct.pack("<H", 1))
        + _element(0x0000, 0x0700, struct.pack("<H", 0))
        + _element(0x0000, 0x0800, struct.pack("<H", 1))
    )
    step = b"".join(
        _element(group, element)
        for group, element in ((0x0008, 0x0060), (0x0040, 0x0001), (0x0040, 0x0002), (0x0040, 0x0003), (0x0040, 0x0009))
    )
    identifier = (
        _element(0x0008, 0x0050, _even(accession, b" "))
        + _element(0x0010, 0x0010)
        + _element(0x0010, 0x0020)
        + _element(0x0020, 0x000D)
        + _element(0x0040, 0x0100, struct.pack("<HHL", 0xFFFE, 0xE000, len(step)) + step)
        + _element(0x0040, 0x1001)
    )
    group_length = _element(0x0000, 0x0000, struct.pack("<L", len(command)))
    return _p_data(3, group_length + command) + _p_data(2, identifier)


def _status(command: bytes) -> tuple[int, bool]:
    """Return the status of a response and whether a data set follows."""
    status, data_set_type, at = -1, NO_DATA_SET, 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHL", command, at)
        if element == 0x0900:
            (status,) = struct.unpack_from("<H", command, at + 8)
        elif element == 0x0800:
            (data_set_type,) = struct.unpack_from("<H", command, at + 8)
        at += 8 + length
    return status, data_set_type != NO_DATA_SET


class Asking:
    """One association to the worklist."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWERED_WITHIN_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._fragments: list[tuple[int, bytes]] = []
        self._socket.sendall(_association_request())
        if self._pdu()[0] != 0x02:
            raise ConnectionError("the engine did not accept the association")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendall(struct.pack(">BBLL", 0x05, 0, 4, 0))
        self._pdu()
        self._stream.close()
        self._socket.close()

    def _pdu(self) -> tuple[int, bytes]:
        head = self._stream.read(6)
        if len(head) < 6:
            raise ConnectionError("the engine closed the connection")
        kind, _, length = struct.unpack(">BBL", head)
        return kind, self._stream.read(length)

    def _message(self) -> bytes:
        """Return the next whole command or data set."""
        parts: list[bytes] = []
        while True:
            if not self._fragments:
                kind, body = self._pdu()
                if kind != 0x04:
                    raise ConnectionError(f"the engine sent a PDU of type {kind}")
                at = 0
                while at < len(body):
                    length, _, flags = struct.unpack_from(">LBB", body, at)
                    self._fragments.append((flags, body[at + 6 : at + 4 + length]))
                    at += 4 + length
            flags, part = self._fragments.pop(0)
            parts.append(part)
            if flags & 2:
                return b"".join(parts)

    def find(self, request: bytes) -> list[bytes]:
        """Send one prepared request; return the identifiers of its answers, encoded.

        Raises:
            ConnectionError: the final status is not success.
        """
        self._socket.sendall(request)
        answers: list[bytes] = []
        while True:
            status, has_data_set = _status(self._message())
            if has_data_set:
                answers.append(self._message())
            if status not in PENDING:
                break
        if status != 0:
            raise ConnectionError(f"the query ended with status 0x{status:04X}")
        return answers


def _ask(port: int, asked: Sequence[Order], waits_s: list[float], wrong: list[str]) -> None:
    requests = [(order, query(order.accession)) for order in asked]
    with Asking(port) as association:
        for order, request in requests:
            sent = time.perf_counter()
            answers = association.find(request)
            waits_s.append(time.perf_counter() - sent)
            if len(answers) != 1 or order.patient_id.encode() not in answers[0]:
                wrong.append(order.accession)


def ask(engine: Serving, asked: Sequence[Order], *, items: int, associations: int) -> Figure:
    """Ask for each order's accession number; the answer must be its one step. Waits last until the final status."""
    waits_s: list[float] = []
    wrong: list[str] = []
    clients = [
        threading.Thread(target=_ask, args=(engine.dicom_port, asked[n::associations], waits_s, wrong))
        for n in range(associations)
    ]
    cpu_s = engine.cpu_s()
    started = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - started
    if not waits_s:
        raise RuntimeError("no worklist query was answered")
    return Figure(
        what=f"worklist by accession of {items:,}, {associations} association{'s' if associations > 1 else ''}",
        number=len(asked),
        seconds=seconds,
        engine_cpu_s=engine.cpu_s() - cpu_s,
        wrong=len(wrong) + len(asked) - len(waits_s),
        p50_ms=percentile_ms(waits_s, 0.5),
        p99_ms=percentile_ms(waits_s, 0.99),
    )
