"""The user information item of both A-ASSOCIATE PDUs: what the two applications tell each other about themselves.

Source: DICOM PS3.7 annex D.3.3; PS3.8 annex D.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from engine.dicom.errors import MalformedPdu
from engine.dicom.pdu_item import (
    cut_items,
    encode_item,
    read_number,
    read_text,
    read_uid,
    take_counted,
    take_counted_uid,
    with_length,
)


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


def encode(user: UserInformation) -> bytes:
    """Return the whole item."""
    parts = [
        encode_item(0x51, user.max_length.to_bytes(4, "big")),
        encode_item(0x52, user.implementation_uid.encode("ascii")),
    ]
    if user.async_window is not None:
        parts.append(encode_item(0x53, struct.pack(">HH", *user.async_window)))
    parts += [
        encode_item(0x54, with_length(role.sop_class.encode("ascii")) + bytes((role.scu, role.scp)))
        for role in user.roles
    ]
    if user.implementation_version:
        parts.append(encode_item(0x55, user.implementation_version.encode("ascii")))
    parts += [encode_item(0x56, with_length(uid.encode("ascii")) + value) for uid, value in user.extended]
    parts += [encode_item(0x57, value) for value in user.common_extended]
    if user.identity is not None:
        identity = user.identity
        head = bytes((identity.kind, identity.response_requested))
        parts.append(encode_item(0x58, head + with_length(identity.primary) + with_length(identity.secondary)))
    if user.identity_response is not None:
        parts.append(encode_item(0x59, with_length(user.identity_response)))
    return encode_item(0x50, b"".join(parts))


def decode(body: bytes, start: int, end: int, *, in_request: bool) -> UserInformation:
    """Read the item between two positions; unknown sub-items are passed over."""
    user = UserInformation()
    roles, extended, common = [], [], []
    for kind, first, last in cut_items(body, start, end):
        match kind:
            case 0x51:
                user = replace(user, max_length=read_number(body, first, last))
            case 0x52:
                user = replace(user, implementation_uid=read_uid(body, first, last))
            case 0x53:
                both = read_number(body, first, last)
                user = replace(user, async_window=(both >> 16, both & 0xFFFF))
            case 0x54:
                uid, rest = take_counted_uid(body, first, last)
                if last - rest != 2:
                    raise MalformedPdu(f"role selection at byte {first}")
                roles.append(RoleSelection(uid, body[rest] == 1, body[rest + 1] == 1))
            case 0x55:
                user = replace(user, implementation_version=read_text(body[first:last]))
            case 0x56:
                uid, rest = take_counted_uid(body, first, last)
                extended.append((uid, body[rest:last]))
            case 0x57:
                common.append(body[first:last])
            case 0x58 if in_request:
                user = replace(user, identity=_identity(body, first, last))
            case 0x59 if not in_request:
                user = replace(user, identity_response=take_counted(body, first, last)[0])
            case _:
                pass  # unknown sub-items are passed over, PS3.7 annex D.3.3
    return replace(user, roles=tuple(roles), extended=tuple(extended), common_extended=tuple(common))


def _identity(body: bytes, start: int, end: int) -> UserIdentity:
    if start + 2 > end:
        raise MalformedPdu(f"user identity at byte {start}")
    primary, position = take_counted(body, start + 2, end)
    secondary, _ = take_counted(body, position, end)
    return UserIdentity(body[start], body[start + 1] == 1, primary, secondary)
