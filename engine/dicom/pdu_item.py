"""The items that association PDUs are made of: a type, a length, a value. Lengths are checked before anything is taken.

Source: DICOM PS3.8 sections 9.3.2 and 9.3.3; annex D.
"""

from __future__ import annotations

import struct
from typing import Final

from pydicom._uid_dict import UID_dictionary

from engine.dicom.errors import MalformedPdu

MAX_UID_BYTES: Final = 64
KNOWN_UIDS: Final = {uid.encode("ascii"): uid for uid in UID_dictionary}
"""Bytes → text, which spares most of the decoding."""

_ITEM = struct.Struct(">BxH")
_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">I")


def encode_item(kind: int, value: bytes) -> bytes:
    """Return an item."""
    return _ITEM.pack(kind, len(value)) + value


def with_length(value: bytes) -> bytes:
    """Return a value with its length in two bytes before it."""
    return _SHORT.pack(len(value)) + value


def cut_items(body: bytes, position: int, end: int) -> list[tuple[int, int, int]]:
    """Return (type, start, end) of the items between two positions, which they must fill."""
    found = []
    while position < end:
        if position + 4 > end:
            raise MalformedPdu(f"item cut at byte {position}")
        kind, length = _ITEM.unpack_from(body, position)
        start = position + 4
        position = start + length
        if position > end:
            raise MalformedPdu(f"item longer than what holds it at byte {start}")
        found.append((kind, start, position))
    return found


def read_uid(body: bytes, start: int, end: int) -> str:
    """Return a UID between two positions, padding removed."""
    if end - start > MAX_UID_BYTES:
        raise MalformedPdu(f"UID of {end - start} bytes at byte {start}")
    try:
        return body[start:end].decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError as cause:
        raise MalformedPdu(f"UID is not ASCII at byte {start}") from cause


def read_number(body: bytes, start: int, end: int) -> int:
    """Return a four-byte number that fills an item."""
    if end - start != 4:
        raise MalformedPdu(f"number of {end - start} bytes at byte {start}")
    value: int = _LONG.unpack_from(body, start)[0]
    return value


def take_counted(body: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return a value with its length before it, and the position after it."""
    if start + 2 > end:
        raise MalformedPdu(f"length cut at byte {start}")
    last = start + 2 + _SHORT.unpack_from(body, start)[0]
    if last > end:
        raise MalformedPdu(f"value longer than its item at byte {start}")
    return body[start + 2 : last], last


def take_counted_uid(body: bytes, start: int, end: int) -> tuple[str, int]:
    """Return a UID with its length before it, and the position after it."""
    value, last = take_counted(body, start, end)
    return read_uid(value, 0, len(value)), last


def read_text(value: bytes) -> str:
    """Return an AE title or a version name, padding removed."""
    return value.decode("latin-1").strip("\0 ")
