"""The protocol data units of the DICOM upper layer as values, and their bytes.

P-DATA-TF is not here: it is cut into fragments as it arrives (`association.py`) and written by `command.p_data`.
Lengths are checked before anything is kept; whatever is impossible is DCM-103.
Source: DICOM PS3.8 section 9.3 and annex D; PS3.7 annex D.3.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from engine.core.errors import InvariantError
from engine.dicom import user_information
from engine.dicom.errors import MalformedPdu
from engine.dicom.pdu_item import KNOWN_UIDS, cut_items, encode_item, read_text, read_uid
from engine.dicom.user_information import UserInformation

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

_HEADER = struct.Struct(">BxI")
_SHORT = struct.Struct(">H")
_FIXED_BYTES = 68


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed: odd id 1-255, one abstract syntax, transfer syntaxes in order of wish."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The acceptor's answer to one context: 0 accepted, 1 user, 2 no reason, 3 abstract, 4 transfer syntaxes."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ. AE titles without padding."""

    called_ae: str
    calling_ae: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """A-ASSOCIATE-AC. The AE titles repeat the request's and mean nothing."""

    called_ae: str
    calling_ae: str
    results: tuple[ContextResult, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ: result 1 permanent, 2 transient; source 1 user, 2 provider (ACSE), 3 provider (presentation)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT: source 0 service user, 2 service provider; reasons of PS3.8 table 9-26."""

    source: int
    reason: int


RELEASE_RQ: Final = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
RELEASE_RP: Final = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def encode_reject(reject: AssociateReject) -> bytes:
    """Return the whole A-ASSOCIATE-RJ PDU."""
    return b"\x03\x00\x00\x00\x00\x04\x00" + bytes((reject.result, reject.source, reject.reason))


def encode_abort(abort: Abort) -> bytes:
    """Return the whole A-ABORT PDU."""
    return b"\x07\x00\x00\x00\x00\x04\x00\x00" + bytes((abort.source, abort.reason))


def decode_reject(body: bytes) -> AssociateReject:
    """Return what follows the 6-byte header of an A-ASSOCIATE-RJ."""
    return AssociateReject(body[1], body[2], body[3])


def decode_abort(body: bytes) -> Abort:
    """Return what follows the 6-byte header of an A-ABORT."""
    return Abort(body[2], body[3])


def encode_request(request: AssociateRequest) -> bytes:
    """Return the whole A-ASSOCIATE-RQ PDU."""
    contexts = [
        encode_item(
            0x20,
            bytes((context.context_id, 0, 0, 0))
            + encode_item(0x30, context.abstract_syntax.encode("ascii"))
            + b"".join(encode_item(0x40, uid.encode("ascii")) for uid in context.transfer_syntaxes),
        )
        for context in request.contexts
    ]
    return _encode_associate(PduType.ASSOCIATE_RQ, request, contexts)


def encode_accept(accept: AssociateAccept) -> bytes:
    """Return the whole A-ASSOCIATE-AC PDU."""
    results = [
        encode_item(
            0x21,
            bytes((result.context_id, 0, result.result, 0)) + encode_item(0x40, result.transfer_syntax.encode("ascii")),
        )
        for result in accept.results
    ]
    return _encode_associate(PduType.ASSOCIATE_AC, accept, results)


def decode_request(body: bytes) -> AssociateRequest:
    """Read what follows the 6-byte header of an A-ASSOCIATE-RQ.

    Unknown items are passed over (PS3.8 section 9.3.1). Whether version and application context are ours is for the
    negotiation to say.

    Raises:
        MalformedPdu: DCM-103.
    """
    version, called, calling = _fixed(body)
    application_context, user = "", UserInformation()
    contexts: list[ProposedContext] = []
    for kind, start, end in cut_items(body, _FIXED_BYTES, len(body)):
        if kind == 0x20:
            contexts.append(_proposed(body, start, end))
        elif kind == 0x10:
            application_context = read_uid(body, start, end)
        elif kind == 0x50:
            user = user_information.decode(body, start, end, in_request=True)
    return AssociateRequest(
        called_ae=called,
        calling_ae=calling,
        contexts=tuple(contexts),
        user=user,
        application_context=application_context,
        protocol_version=version,
    )


def decode_accept(body: bytes) -> AssociateAccept:
    """Read what follows the 6-byte header of an A-ASSOCIATE-AC.

    Raises:
        MalformedPdu: DCM-103.
    """
    version, called, calling = _fixed(body)
    application_context, user = "", UserInformation()
    results: list[ContextResult] = []
    for kind, start, end in cut_items(body, _FIXED_BYTES, len(body)):
        if kind == 0x21:
            results.append(_result(body, start, end))
        elif kind == 0x10:
            application_context = read_uid(body, start, end)
        elif kind == 0x50:
            user = user_information.decode(body, start, end, in_request=False)
    return AssociateAccept(
        called_ae=called,
        calling_ae=calling,
        results=tuple(results),
        user=user,
        application_context=application_context,
        protocol_version=version,
    )


def _encode_associate(kind: PduType, pdu: AssociateRequest | AssociateAccept, contexts: list[bytes]) -> bytes:
    body = b"".join(
        (
            _SHORT.pack(pdu.protocol_version),
            b"\x00\x00",
            _padded(pdu.called_ae),
            _padded(pdu.calling_ae),
            bytes(32),
            encode_item(0x10, pdu.application_context.encode("ascii")),
            *contexts,
            user_information.encode(pdu.user),
        )
    )
    return _HEADER.pack(kind, len(body)) + body


def _padded(ae_title: str) -> bytes:
    padded = ae_title.encode("latin-1").ljust(16)
    if len(padded) != 16:
        raise InvariantError(f"AE title of {len(padded)} characters")
    return padded


def _fixed(body: bytes) -> tuple[int, str, str]:
    if len(body) < _FIXED_BYTES:
        raise MalformedPdu(f"association PDU of {len(body)} bytes")
    return _SHORT.unpack_from(body)[0], read_text(body[4:20]), read_text(body[20:36])


def _proposed(body: bytes, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise MalformedPdu(f"presentation context of {end - start} bytes at byte {start}")
    abstract_syntax = ""
    transfer_syntaxes = []
    position = start + 4
    while position < end:  # as `cut_items`, without a list: this runs five hundred times for a hundred contexts
        first = position + 4
        if first > end:
            raise MalformedPdu(f"item cut at byte {position}")
        kind = body[position]
        position = first + (body[position + 2] << 8 | body[position + 3])
        if position > end:
            raise MalformedPdu(f"item longer than what holds it at byte {first}")
        if kind == 0x40:
            transfer_syntaxes.append(KNOWN_UIDS.get(body[first:position]) or read_uid(body, first, position))
        elif kind == 0x30:
            abstract_syntax = KNOWN_UIDS.get(body[first:position]) or read_uid(body, first, position)
    return ProposedContext(body[start], abstract_syntax, tuple(transfer_syntaxes))


def _result(body: bytes, start: int, end: int) -> ContextResult:
    if end - start < 4:
        raise MalformedPdu(f"presentation context of {end - start} bytes at byte {start}")
    syntaxes = [read_uid(body, first, last) for kind, first, last in cut_items(body, start + 4, end) if kind == 0x40]
    return ContextResult(body[start], body[start + 2], syntaxes[0] if syntaxes else "")
