"""The DICOM file around a data set: preamble, prefix and file meta information.

What we write depends on nothing but the instance and its transfer syntax, so the same data set from two senders is the
same object: who sent it stands in the records, not in (0002,0016).
Source: DICOM PS3.10 chapter 7.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Final, NamedTuple

from engine.dicom.dataset_error import UnreadableDataSet
from engine.dicom.encode import Encoder
from engine.dicom.implementation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from engine.dicom.scanner import EXPLICIT_LITTLE, Buffer

PREFIX_AT: Final = 128
META_AT: Final = 132
_VERSION: Final = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
_LONG: Final = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT"})
_HEAD: Final = Struct("<HH2sH")
_UINT32: Final = Struct("<I")


class FileMeta(NamedTuple):
    """What the file meta information says, and where the data set begins [bytes]."""

    transfer_syntax: str
    sop_class: str
    sop_uid: str
    data_set_at: int


def file_head(sop_class: str, sop_uid: str, transfer_syntax: str) -> bytes:
    """Return everything of a file before its data set. The preamble is zero, whatever the peer had in it."""
    encoder = Encoder(EXPLICIT_LITTLE)
    meta = _VERSION + b"".join(
        (
            encoder.element(0x00020002, "UI", sop_class),
            encoder.element(0x00020003, "UI", sop_uid),
            encoder.element(0x00020010, "UI", transfer_syntax),
            encoder.element(0x00020012, "UI", IMPLEMENTATION_UID),
            encoder.element(0x00020013, "SH", IMPLEMENTATION_VERSION),
        )
    )
    return bytes(PREFIX_AT) + b"DICM" + encoder.element(0x00020000, "UL", str(len(meta))) + meta


def read_head(content: Buffer) -> FileMeta:
    """Read the file meta information of a DICOM file; a wrong group length does not matter.

    Raises:
        UnreadableDataSet: DCM-110, no prefix, or the meta information is cut.
    """
    if bytes(content[PREFIX_AT:META_AT]) != b"DICM":
        raise UnreadableDataSet(offset=PREFIX_AT, may_fall_back=False)
    texts: dict[int, str] = {}
    at = META_AT
    try:
        while at < len(content):
            group, element, vr, length = _HEAD.unpack_from(content, at)
            if group != 0x0002:
                break
            at += 8
            if vr in _LONG:
                (length,) = _UINT32.unpack_from(content, at)
                at += 4
            texts[element] = bytes(content[at : at + length]).decode("latin-1").strip(" \0")
            at += length
    except error as cause:
        raise UnreadableDataSet(offset=at, may_fall_back=False) from cause
    return FileMeta(texts.get(0x0010, ""), texts.get(0x0002, ""), texts.get(0x0003, ""), at)
