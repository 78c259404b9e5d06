"""The protocol data units of the DICOM upper layer as values, and their bytes.

P-DATA-TF is not here: it is cut into fragments as it arrives (`association.py`) and written by `command.p_data`.
Lengths are checked before anything is kept; whatever is impossible is DCM-103.
Source: DICOM PS3.8 section 9.3 and annex D; PS3.7 annex D.3.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from pydicom._uid_dict import UID_dictionary

from engine.core.errors import InvariantError
from engine.dicom.errors import MalformedPdu

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
MAX_UID_BYTES: Final = 64

_HEADER = struct.Struct(">BxI")
_ITEM = struct.Struct(">BxH")
_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">I")
_FIXED_BYTES = 68
_KNOWN_UIDS: Final = {uid.encode("ascii"): uid for uid in UID_dictionary}


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


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU role selection for one SOP class (PS3.7 D.3.3.4)."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity (PS3.7 D.3.3.7): 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT. Never logged."""

    kind: int
    response_requested: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """The user information item of either A-ASSOCIATE PDU. `max_length` in bytes, 0 for no bound."""

    max_length: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""
    async_window: tuple[int, int] | None = None
    """Operations invoked and performed at once; None when not said (then 1, 1)."""
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[tuple[str, bytes], ...] = ()
    """SOP class extended negotiation: (SOP class, service class application information as sent)."""
    common_extended: tuple[bytes, ...] = ()
    """SOP class common extended negotiation items as sent."""
    identity: UserIdentity | None = None
    identity_response: bytes | None = field(default=None, repr=False)


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
        _item(
            0x20,
            bytes((context.context_id, 0, 0, 0))
            + _item(0x30, context.abstract_syntax.encode("ascii"))
            + b"".join(_item(0x40, uid.encode("ascii")) for uid in context.transfer_syntaxes),
        )
        for context in request.contexts
    ]
    return _encode_associate(PduType.ASSOCIATE_RQ, request, contexts)


def encode_accept(accept: AssociateAccept) -> bytes:
    """Return the whole A-ASSOCIATE-AC PDU."""
    results = [
        _item(
            0x21,
            bytes((result.context_id, 0, result.result, 0)) + _item(0x40, result.transfer_syntax.encode("ascii")),
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
    for kind, start, end in _items(body, _FIXED_BYTES, len(body)):
        if kind == 0x20:
            contexts.append(_proposed(body, start, end))
        elif kind == 0x10:
            application_context = _uid(body, start, end)
        elif kind == 0x50:
            user = _user_information(body, start, end, in_request=True)
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
    for kind, start, end in _items(body, _FIXED_BYTES, len(body)):
        if kind == 0x21:
            results.append(_result(body, start, end))
        elif kind == 0x10:
            application_context = _uid(body, start, end)
        elif kind == 0x50:
            user = _user_information(body, start, end, in_request=False)
    return AssociateAccept(
        called_ae=called,
        calling_ae=calling,
        results=tuple(results),
        user=user,
        application_context=application_context,
        protocol_version=version,
    )


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _encode_associate(kind: PduType, pdu: AssociateRequest | AssociateAccept, contexts: list[bytes]) -> bytes:
    body = b"".join(
        (
            _SHORT.pack(pdu.protocol_version),
            b"\x00\x00",
            _padded(pdu.called_ae),
            _padded(pdu.calling_ae),
            bytes(32),
            _item(0x10, pdu.application_context.encode("ascii")),
            *contexts,
            _encode_user(pdu.user),
        )
    )
    return _HEADER.pack(kind, len(body)) + body


def _padded(ae_title: str) -> bytes:
    padded = ae_title.encode("latin-1").ljust(16)
    if len(padded) != 16:
        raise InvariantError(f"AE title of {len(padded)} characters")
    return padded


def _encode_user(user: UserInformation) -> bytes:
    parts = [_item(0x51, _LONG.pack(user.max_length)), _item(0x52, user.implementation_uid.encode("ascii"))]
    if user.async_window is not None:
        parts.append(_item(0x53, struct.pack(">HH", *user.async_window)))
    parts += [
        _item(0x54, _counted(role.sop_class.encode("ascii")) + bytes((role.scu, role.scp))) for role in user.roles
    ]
    if user.implementation_version:
        parts.append(_item(0x55, user.implementation_version.encode("ascii")))
    parts += [_item(0x56, _counted(uid.encode("ascii")) + value) for uid, value in user.extended]
    parts += [_item(0x57, value) for value in user.common_extended]
    if user.identity is not None:
        identity = user.identity
        head = bytes((identity.kind, identity.response_requested))
        parts.append(_item(0x58, head + _counted(identity.primary) + _counted(identity.secondary)))
    if user.identity_response is not None:
        parts.append(_item(0x59, _counted(user.identity_response)))
    return _item(0x50, b"".join(parts))


def _counted(value: bytes) -> bytes:
    return _SHORT.pack(len(value)) + value


def _fixed(body: bytes) -> tuple[int, str, str]:
    if len(body) < _FIXED_BYTES:
        raise MalformedPdu(f"association PDU of {len(body)} bytes")
    return _SHORT.unpack_from(body)[0], _ae(body[4:20]), _ae(body[20:36])


def _ae(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")


def _items(body: bytes, position: int, end: int) -> list[tuple[int, int, int]]:
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


def _uid(body: bytes, start: int, end: int) -> str:
    if end - start > MAX_UID_BYTES:
        raise MalformedPdu(f"UID of {end - start} bytes at byte {start}")
    try:
        return body[start:end].decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError as cause:
        raise MalformedPdu(f"UID is not ASCII at byte {start}") from cause


def _proposed(body: bytes, start: int, end: int) -> ProposedContext:
    if end - start < 4:
        raise MalformedPdu(f"presentation context of {end - start} bytes at byte {start}")
    abstract_syntax = ""
    transfer_syntaxes = []
    position = start + 4
    while position < end:  # as `_items`, without a list: this runs five hundred times for a hundred contexts
        first = position + 4
        if first > end:
            raise MalformedPdu(f"item cut at byte {position}")
        kind = body[position]
        position = first + (body[position + 2] << 8 | body[position + 3])
        if position > end:
            raise MalformedPdu(f"item longer than what holds it at byte {first}")
        if kind == 0x40:
            transfer_syntaxes.append(_KNOWN_UIDS.get(body[first:position]) or _uid(body, first, position))
        elif kind == 0x30:
            abstract_syntax = _KNOWN_UIDS.get(body[first:position]) or _uid(body, first, position)
    return ProposedContext(body[start], abstract_syntax, tuple(transfer_syntaxes))


def _result(body: bytes, start: int, end: int) -> ContextResult:
    if end - start < 4:
        raise MalformedPdu(f"presentation context of {end - start} bytes at byte {start}")
    syntaxes = [_uid(body, first, last) for kind, first, last in _items(body, start + 4, end) if kind == 0x40]
    return ContextResult(body[start], body[start + 2], syntaxes[0] if syntaxes else "")


def _user_information(body: bytes, start: int, end: int, *, in_request: bool) -> UserInformation:
    user = UserInformation()
    roles, extended, common = [], [], []
    for kind, first, last in _items(body, start, end):
        match kind:
            case 0x51:
                user = replace(user, max_length=_number(body, first, last))
            case 0x52:
                user = replace(user, implementation_uid=_uid(body, first, last))
            case 0x53:
                both = _number(body, first, last)
                user = replace(user, async_window=(both >> 16, both & 0xFFFF))
            case 0x54:
                uid, rest = _counted_uid(body, first, last)
                if last - rest != 2:
                    raise MalformedPdu(f"role selection at byte {first}")
                roles.append(RoleSelection(uid, body[rest] == 1, body[rest + 1] == 1))
            case 0x55:
                user = replace(user, implementation_version=_ae(body[first:last]))
            case 0x56:
                uid, rest = _counted_uid(body, first, last)
                extended.append((uid, body[rest:last]))
            case 0x57:
                common.append(body[first:last])
            case 0x58 if in_request:
                user = replace(user, identity=_identity(body, first, last))
            case 0x59 if not in_request:
                user = replace(user, identity_response=_counted_value(body, first, last)[0])
            case _:
                pass  # unknown sub-items are passed over, PS3.7 annex D.3.3
    return replace(user, roles=tuple(roles), extended=tuple(extended), common_extended=tuple(common))


def _number(body: bytes, start: int, end: int) -> int:
    if end - start != 4:
        raise MalformedPdu(f"number of {end - start} bytes at byte {start}")
    value: int = _LONG.unpack_from(body, start)[0]
    return value


def _counted_value(body: bytes, start: int, end: int) -> tuple[bytes, int]:
    if start + 2 > end:
        raise MalformedPdu(f"length cut at byte {start}")
    last = start + 2 + _SHORT.unpack_from(body, start)[0]
    if last > end:
        raise MalformedPdu(f"value longer than its item at byte {start}")
    return body[start + 2 : last], last


def _counted_uid(body: bytes, start: int, end: int) -> tuple[str, int]:
    value, last = _counted_value(body, start, end)
    return _uid(value, 0, len(value)), last


def _identity(body: bytes, start: int, end: int) -> UserIdentity:
    if start + 2 > end:
        raise MalformedPdu(f"user identity at byte {start}")
    primary, position = _counted_value(body, start + 2, end)
    secondary, _ = _counted_value(body, position, end)
    return UserIdentity(body[start], body[start + 1] == 1, primary, secondary)
