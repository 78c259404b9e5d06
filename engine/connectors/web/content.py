"""Shows bytes that were received or sent: as text, as segments, as they are."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from engine.core.errors import PeerError
from engine.core.limits import MIB
from engine.desk import view
from engine.desk.records import MessageFile, NoticeFile
from engine.hl7.message import Message

_SHOWN: Final = 8 * MIB
"""Bodies up to this size are told whole in JSON; larger ones are fetched raw."""
_BEGINNING: Final = 64 * 1024
_FRAME_END: Final = b"\x1c"
"""Stands between the frames of one stored answer."""
_SUFFIXES: Final = {
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "text/xml": "xml",
    "text/html": "html",
    "text/plain": "txt",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/tiff": "tif",
    "application/dicom": "dcm",
    "application/zip": "zip",
}
_TYPES: Final = {"mllp": ("x-application/hl7-v2+er7", "hl7"), "fhir": ("application/fhir+json", "json")}


def media_type(kind: str) -> tuple[str, str]:
    """Return the media type of the bytes that a kind of listener takes, and the suffix of a file of it."""
    return _TYPES.get(kind, ("application/octet-stream", "bin"))


def document_suffix(media: str) -> str:
    """Return the suffix of a file of a document inside a report."""
    return _SUFFIXES.get(media, "bin")


def message_json(of: MessageFile, default_charset: str | None) -> dict[str, Any]:
    """Return a received message for the JSON API; costs milliseconds for megabytes, so call it off the loop.

    A body over 8 MiB is told by its first 64 KiB only, `truncated` then is true and `body_base64` None.
    """
    truncated = len(of.body) > _SHOWN
    body = of.body[:_BEGINNING] if truncated else of.body
    text, segments = read(body, of.head.kind, default_charset)
    return {
        **view.message_short(of.head),
        "body_base64": None if truncated else base64.b64encode(of.body).decode("ascii"),
        "body_text": text,
        "truncated": truncated,
        "segments": segments,
        "answer_text": answer_text(of.answer),
        "changed": of.changed,
        "notices": of.notices,
        "validation": of.validation,
    }


def notice_json(of: NoticeFile) -> dict[str, Any]:
    """Return an outgoing notice for the JSON API."""
    text, segments = read(of.body, of.head.kind, None)
    return {
        **view.notice_view(of.head),
        "accession_number": of.accession_number or None,
        "accession_issuer": of.accession_issuer or None,
        "body_base64": base64.b64encode(of.body).decode("ascii"),
        "body_text": text,
        "segments": segments,
        "reply_text": answer_text(of.answer),
    }


def read(body: bytes, kind: str, default_charset: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return a body as text, a line for each segment, and its segments; what cannot be read is shown as it can be."""
    if kind == "fhir":
        return (_json_text(body), [])
    try:
        message = Message.parse(body, default_charset=default_charset)
    except PeerError:
        return (_lenient(body), [])
    segments = [
        {"name": segment.name, "fields": [segment.field(number) or "" for number in range(1, segment.length + 1)]}
        for segment in message.segments
    ]
    return (message.normalised.replace("\r", "\n"), segments)


def answer_text(answer: bytes) -> str:
    """Return what was answered as text; several frames are parted by a blank line."""
    return "\n\n".join(_lenient(frame).strip() for frame in answer.split(_FRAME_END) if frame)


def _lenient(body: bytes) -> str:
    return body.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _json_text(body: bytes) -> str:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return _lenient(body)
