"""The DIMSE command set: group 0000 in Implicit VR Little Endian, and the cutting of messages into P-DATA-TF PDUs.

A command is a plain dict by keyword: a number for US, a tuple of tags for AT, text for UI, LO and AE.
Source: DICOM PS3.7 sections 6.3.1, 9.3, 10.3 and annex E; PS3.8 section 9.3.5 and annex E.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from engine.core.limits import DEFAULT_LIMITS
from engine.dicom.errors import MalformedPdu

Value = int | str | tuple[int, ...]
Command = dict[str, Value]

NO_DATA_SET: Final = 0x0101
HAS_DATA_SET: Final = 0x0001
MEDIUM_PRIORITY: Final = 0

_WHOLE_PDU_BYTES: Final = 256 * 1024  # what we send at once to a peer without a maximum


class Operation(IntEnum):
    """Command Field (0000,0100) of the requests; a response has 0x8000 added."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


RESPONSE: Final = 0x8000

_DICTIONARY: Final[dict[str, tuple[int, str]]] = {
    "CommandGroupLength": (0x0000, "UL"),
    "AffectedSOPClassUID": (0x0002, "UI"),
    "RequestedSOPClassUID": (0x0003, "UI"),
    "CommandField": (0x0100, "US"),
    "MessageID": (0x0110, "US"),
    "MessageIDBeingRespondedTo": (0x0120, "US"),
    "MoveDestination": (0x0600, "AE"),
    "Priority": (0x0700, "US"),
    "CommandDataSetType": (0x0800, "US"),
    "Status": (0x0900, "US"),
    "OffendingElement": (0x0901, "AT"),
    "ErrorComment": (0x0902, "LO"),
    "ErrorID": (0x0903, "US"),
    "AffectedSOPInstanceUID": (0x1000, "UI"),
    "RequestedSOPInstanceUID": (0x1001, "UI"),
    "EventTypeID": (0x1002, "US"),
    "AttributeIdentifierList": (0x1005, "AT"),
    "ActionTypeID": (0x1008, "US"),
    "NumberOfRemainingSuboperations": (0x1020, "US"),
    "NumberOfCompletedSuboperations": (0x1021, "US"),
    "NumberOfFailedSuboperations": (0x1022, "US"),
    "NumberOfWarningSuboperations": (0x1023, "US"),
    "MoveOriginatorApplicationEntityTitle": (0x1030, "AE"),
    "MoveOriginatorMessageID": (0x1031, "US"),
}
_BY_ELEMENT: Final = {element: (keyword, vr) for keyword, (element, vr) in _DICTIONARY.items()}

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<HHIH")
_PDV = struct.Struct(">BxIIBB")


def encode(command: Mapping[str, Value]) -> bytes:
    """Return the command set, group length first. Every key must be a command keyword.

    A text is padded to even length, UIDs with NUL and others with a space.
    """
    parts = []
    for element, vr, value in sorted((*_DICTIONARY[keyword], value) for keyword, value in command.items()):
        if vr == "US":
            parts.append(_US.pack(0, element, 2, value))
            continue
        if isinstance(value, str):
            raw = value.encode("ascii")
            if len(raw) & 1:
                raw += b"\0" if vr == "UI" else b" "
        else:
            tags = (value,) if isinstance(value, int) else value
            raw = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
        parts.append(_ELEMENT.pack(0, element, len(raw)) + raw)
    body = b"".join(parts)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def decode(data: bytes, *, limit_bytes: int = DEFAULT_LIMITS.command_bytes) -> Command:
    """Read a command set. Retired, unknown and empty elements are passed over; the group length is not believed.

    Raises:
        MalformedPdu: DCM-103, not a command set, longer than `limit_bytes`, or without Command Field.
    """
    if len(data) > limit_bytes:
        raise MalformedPdu(f"command of {len(data)} bytes")
    command: Command = {}
    position, end = 0, len(data)
    while position < end:
        if position + 8 > end:
            raise MalformedPdu(f"command element cut at byte {position}")
        group, element, length = _ELEMENT.unpack_from(data, position)
        start = position + 8
        position = start + length
        if group or position > end:
            raise MalformedPdu(f"command element at byte {start - 8}")
        known = _BY_ELEMENT.get(element)
        if known is not None and element and length:
            command[known[0]] = _value(known[1], data, start, position)
    if "CommandField" not in command or "CommandDataSetType" not in command:
        raise MalformedPdu("command without Command Field or Command Data Set Type")
    return command


def _value(vr: str, data: bytes, start: int, end: int) -> Value:
    if vr == "US":
        if end - start != 2:
            raise MalformedPdu(f"command number of {end - start} bytes at byte {start}")
        return data[start] | data[start + 1] << 8
    if vr == "AT":
        if (end - start) % 4:
            raise MalformedPdu(f"command tags of {end - start} bytes at byte {start}")
        return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", data[start:end]))
    return data[start:end].decode("latin-1").strip("\0 ")


def number(command: Mapping[str, Value], keyword: str) -> int:
    """Return a US element.

    Raises:
        MalformedPdu: DCM-103, the element is missing.
    """
    value = command.get(keyword)
    if not isinstance(value, int):
        raise MalformedPdu(f"{keyword} is required", where=keyword)
    return value


def text(command: Mapping[str, Value], keyword: str) -> str:
    """Return a UI, LO or AE element; "" when it is absent."""
    value = command.get(keyword, "")
    return value if isinstance(value, str) else ""


def p_data(context_id: int, is_command: bool, payload: bytes | memoryview, max_pdu: int, *, ends: bool = True) -> bytes:
    """Return `payload` as P-DATA-TF PDUs, one fragment each, the last one marked last.

    Args:
        context_id: Presentation context.
        is_command: Whether this is a command set or a data set.
        payload: The command set or data set; an empty one becomes one empty fragment.
        max_pdu: Maximum length the receiver announced [bytes]; 0 for none.
        ends: False when more of the same data set follows in another call.
    """
    room = payload_bytes(max_pdu)
    size = len(payload)
    if size <= room:
        return _PDV.pack(4, size + 6, size + 2, context_id, is_command | ends << 1) + payload
    view = memoryview(payload)
    parts: list[bytes | memoryview] = []
    for start in range(0, size, room):
        part = view[start : start + room]
        is_last = ends and start + room >= size
        parts.append(_PDV.pack(4, len(part) + 6, len(part) + 2, context_id, is_command | is_last << 1))
        parts.append(part)
    return b"".join(parts)


def payload_bytes(max_pdu: int) -> int:
    """Return how many bytes of a message fit one PDU: even, and 6 less than the receiver's maximum length."""
    return max((min(max_pdu, _WHOLE_PDU_BYTES) if max_pdu else _WHOLE_PDU_BYTES) - 6 & ~1, 2)
