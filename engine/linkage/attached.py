"""Documents inside a report: ED rows joined, decoded and named by what they are; RP rows as pointers.

Source: HL7 v2.5.1 chapter 2.A.24 (ED), 2.A.65 (RP), tables 0191, 0291, 0299; spec/hl7.md section 10.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.core.errors import PeerError
from engine.linkage.result import WITHDRAWN, is_document
from engine.records.explicit import plain
from engine.records.fact import ResultFact

_TYPES = {
    "PDF": "application/pdf",
    "RTF": "application/rtf",
    "X-RTF": "application/rtf",
    "XML": "text/xml",
    "HTML": "text/html",
    "PLAIN": "text/plain",
    "CDA": "text/xml",
    "X-HL7-CDA-LEVEL-ONE": "text/xml",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "DICOM": "application/dicom",
}
_MAGIC = {
    b"%PDF-": "application/pdf",
    b"{\\rtf": "application/rtf",
    b"<?xml": "text/xml",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"PK\x03\x04": "application/zip",
}
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
_TEXTUAL = frozenset({"A", "ASCII"})
_BREAKS = str.maketrans("", "", " \t\r\n\v\f\0")


class UndecodableDocument(PeerError):
    """HL7-112 (0357: 102): a document in OBX-5 is not what its encoding says."""

    code = "HL7-112"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document of a report: its bytes, or where it is."""

    title: str = ""
    media_type: str = ""
    said_type: str = ""
    pointer: str = ""
    content: bytes = b""


@dataclass(slots=True)
class _Open:
    """A document whose rows are being collected."""

    first: ResultFact
    pieces: list[str] = field(default_factory=list)

    def takes(self, said: ResultFact) -> bool:
        """Whether a row goes on with this document rather than beginning another."""
        mine, theirs = self.first, said
        if (plain(mine.code), plain(mine.suffix)) != (plain(theirs.code), plain(theirs.suffix)):
            return False
        if theirs.data_type and (mine.data_type, mine.encoding) != (theirs.data_type, theirs.encoding):
            return False
        return not self.pieces[-1].rstrip().endswith("=") and not _begins(plain(theirs.value), _encoding(mine))


def documents_of(results: Iterable[ResultFact]) -> tuple[Document, ...]:
    """Return the documents that rows carry; those whose row is taken back, or is empty, are left out.

    Data may be wrapped with line breaks, or go on in the next row of the same OBX-3.

    Raises:
        UndecodableDocument: HL7-112.
    """
    collected: list[_Open | ResultFact] = []
    for said in results:
        if not is_document(said) or plain(said.status) == WITHDRAWN or not plain(said.value).strip():
            continue
        last = collected[-1] if collected else None
        if plain(said.value_type).upper() == "RP":
            collected.append(said)
        elif isinstance(last, _Open) and last.takes(said):
            last.pieces.append(plain(said.value))
        else:
            collected.append(_Open(said, [plain(said.value)]))
    return tuple(_decoded(each) if isinstance(each, _Open) else _pointer(each) for each in collected)


def _pointer(said: ResultFact) -> Document:
    stated = plain(said.data_type)
    return Document(
        title=_title(said), media_type=_media_type(stated, b""), said_type=stated, pointer=plain(said.value)
    )


def _title(said: ResultFact) -> str:
    return plain(said.name) or plain(said.code)


def _encoding(said: ResultFact) -> str:
    return plain(said.encoding).strip().upper()


def _begins(data: str, encoding: str) -> bool:
    """Whether data starts like a document of a known kind."""
    try:
        start = _bytes_of(data.translate(_BREAKS)[:64] if encoding not in _TEXTUAL else data[:64], encoding)
    except ValueError:
        return False
    return any(start.startswith(magic) for magic in _MAGIC)


def _bytes_of(data: str, encoding: str) -> bytes:
    if encoding in _TEXTUAL:
        return data.encode()
    if encoding == "HEX":
        return bytes.fromhex(data)
    return binascii.a2b_base64(data.encode("ascii"), strict_mode=True)


def _decoded(of: _Open) -> Document:
    said, encoding = of.first, _encoding(of.first)
    stated = plain(said.data_type)
    textual = encoding in _TEXTUAL
    try:
        data = "\n".join(of.pieces) if textual else "".join(of.pieces).translate(_BREAKS)
        content = _bytes_of(data, encoding)
    except ValueError as cause:
        kind = "hexadecimal" if encoding == "HEX" else "Base64"
        where = f"OBX^{plain(said.position) or 1}^5"
        raise UndecodableDocument(f"OBX-5 is not {kind} text", where=where) from cause
    return Document(
        title=_title(said),
        media_type=_media_type(stated, content),
        said_type="/".join(part for part in (stated, plain(said.encoding)) if part),
        content=content,
    )


def _media_type(stated: str, content: bytes) -> str:
    """Return what a document is: by its first bytes, else by what the sender says of it."""
    for magic, media_type in _MAGIC.items():
        if content.startswith(magic):
            return media_type
    kind, _, subtype = stated.partition("/")
    known = _TYPES.get(subtype.strip().upper())
    if known is not None:
        return known
    if _MEDIA_TYPE.fullmatch(subtype.strip()):
        return subtype.strip().lower()
    return "text/plain" if kind.strip().upper() in ("TEXT", "TX", "FT") else "application/octet-stream"
