"""One association without its socket: bytes in, events out; wishes in, bytes out.

Nothing is collected that has no bound: P-DATA is surfaced fragment by fragment as it arrives (an unfinished fragment in
parts), every other PDU is checked against its limit before a byte of it is kept.
A peer that breaks the rules is answered with A-ABORT (2/1, 2/2, 2/6) and reported as `Aborted` with the error.
Source: DICOM PS3.8 section 9.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.errors import InvariantError
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom import pdu
from engine.dicom.errors import AssociationError, MalformedPdu, UnexpectedPdu, UnknownPdu
from engine.dicom.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest, PduType
from engine.dicom.upper_layer import ACTIONS, Happening, State, after


class Fragment(NamedTuple):
    """A part of a message. `value` is a view of what was given to `receive`; copy it to keep it."""

    context_id: int
    is_command: bool
    is_last: bool
    value: memoryview


@dataclass(frozen=True, slots=True)
class AssociateRequested:
    """A peer asks for an association; answer with `accept` or `reject`."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class Accepted:
    """The peer accepted our request."""

    accept: AssociateAccept


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer refused our request; the connection is to be closed."""

    reject: AssociateReject


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end the association; answer with `answer_release` when the work is done."""


@dataclass(frozen=True, slots=True)
class Released:
    """The association ended in order; the connection is to be closed."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association ended: the peer aborted (`error` None), or broke a rule and was aborted."""

    abort: Abort
    error: AssociationError | None = None


Event = Fragment | AssociateRequested | Accepted | Rejected | ReleaseRequested | Released | Aborted

_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")

_HAPPENING = {
    PduType.ASSOCIATE_RQ: Happening.REQUEST_PDU,
    PduType.ASSOCIATE_AC: Happening.ACCEPT_PDU,
    PduType.ASSOCIATE_RJ: Happening.REJECT_PDU,
    PduType.P_DATA_TF: Happening.DATA_PDU,
    PduType.RELEASE_RQ: Happening.RELEASE_RQ_PDU,
    PduType.RELEASE_RP: Happening.RELEASE_RP_PDU,
    PduType.ABORT: Happening.ABORT_PDU,
}
_P_DATA_STATES = (State.ESTABLISHED, State.AWAITING_RELEASE_RP)


class Association:
    """The upper layer of one connection, as acceptor or as requestor."""

    __slots__ = (
        "_body_left",
        "_held",
        "_is_requestor",
        "_limits",
        "_out",
        "_pdu_left",
        "_pdv_command",
        "_pdv_context",
        "_pdv_last",
        "_pdv_left",
        "_type",
        "pdus_read",
        "state",
    )

    def __init__(self, *, is_requestor: bool, limits: Limits = DEFAULT_LIMITS) -> None:
        self.state = State.IDLE
        self.pdus_read = 0
        """Counts whole PDUs, so that a watch can tell a PDU that stays open from the next one."""
        self._is_requestor = is_requestor
        self._limits = limits
        self._out: list[bytes] = []
        self._held = bytearray()  # an unfinished header, or the body of a PDU other than P-DATA
        self._type: PduType | None = None
        self._body_left = 0  # of a PDU other than P-DATA
        self._pdu_left = 0  # of a P-DATA PDU, after the current fragment
        self._pdv_left = -1  # of the current fragment; -1 outside
        self._pdv_context = 0
        self._pdv_command = False
        self._pdv_last = False
        if not is_requestor:
            self._turn(Happening.CONNECTION_ARRIVED)

    @property
    def is_mid_pdu(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return self._type is not None or bool(self._held)

    @property
    def may_send(self) -> bool:
        """Whether P-DATA may still go to the peer: established, or the peer waits for our answer to its release."""
        return self.state in (State.ESTABLISHED, State.AWAITING_LOCAL_RELEASE)

    @property
    def is_over(self) -> bool:
        """Whether the association has ended and only the connection remains to be closed."""
        return self.state in (State.IDLE, State.AWAITING_CLOSE)

    def data_to_send(self) -> bytes:
        """Return the bytes that must go to the peer now, and forget them."""
        if not self._out:
            return b""
        joined = b"".join(self._out)
        self._out.clear()
        return joined

    # -- wishes ------------------------------------------------------------------------------------------------------

    def send_associate(self, request: AssociateRequest) -> None:
        """Ask for an association; the transport is connected."""
        self._turn(Happening.ASSOCIATE_REQUESTED_HERE)
        self._turn(Happening.CONNECTED)
        self._out.append(pdu.encode_request(request))

    def accept(self, accept: AssociateAccept) -> None:
        """Say yes to `AssociateRequested`."""
        self._turn(Happening.ACCEPTED_HERE)
        self._out.append(pdu.encode_accept(accept))

    def reject(self, reject: AssociateReject) -> None:
        """Say no to `AssociateRequested`; the peer is to close the connection."""
        self._turn(Happening.REJECTED_HERE)
        self._out.append(pdu.encode_reject(reject))

    def send_data(self, data: bytes) -> None:
        """Send whole P-DATA-TF PDUs (`command.p_data`)."""
        self._turn(Happening.DATA_HERE)
        self._out.append(data)

    def release(self) -> None:
        """Ask to end the association in order."""
        self._turn(Happening.RELEASE_REQUESTED_HERE)
        self._out.append(pdu.RELEASE_RQ)

    def answer_release(self) -> None:
        """Agree to `ReleaseRequested`."""
        self._turn(Happening.RELEASE_ANSWERED_HERE)
        self._out.append(pdu.RELEASE_RP)

    def abort(self, abort: Abort) -> None:
        """End the association now; nothing more is read. Does nothing when it has already ended."""
        if not self.is_over:
            self._end(abort)

    def connection_lost(self) -> None:
        """Hear that the transport is gone: nothing can be said any more."""
        self.state = State.IDLE
        self._out.clear()

    # -- the stream --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take the next bytes of the stream, split anywhere, and return what they mean.

        Fragments are views of `data`: use them before it changes. After the end of the association bytes are dropped.
        Raises nothing: a broken rule is an `Aborted` event, and its A-ABORT is in `data_to_send`.
        Cost: per PDU, not per byte; a fragment is not copied.
        """
        events: list[Event] = []
        try:
            self._read(memoryview(data), events)
        except AssociationError as error:
            abort = Abort(2, error.abort_reason)
            self._end(abort)
            events.append(Aborted(abort, error))
        return events

    def _read(self, view: memoryview, events: list[Event]) -> None:
        position, end = 0, len(view)
        while position < end and not self.is_over:
            if self._pdv_left >= 0:
                position = self._read_fragment(view, position, events)
            elif self._pdu_left:
                position = self._read_fragment_header(view, position)
                if self._pdv_left == 0:  # an empty fragment is complete at once
                    self._read_fragment(view, position, events)
            elif self._body_left:
                taken = view[position : position + self._body_left]
                self._held += taken
                position += len(taken)
                self._body_left -= len(taken)
                if not self._body_left:
                    self._end_pdu(events)
            else:
                position = self._read_header(view, position)

    def _read_header(self, view: memoryview, position: int) -> int:
        if not self._held and position + 6 <= len(view):
            kind, length = _HEADER.unpack_from(view, position)
            position += 6
        else:
            taken = view[position : position + 6 - len(self._held)]
            self._held += taken
            position += len(taken)
            if len(self._held) < 6:
                return position
            kind, length = _HEADER.unpack(self._held)
            self._held.clear()
        self._begin_pdu(kind, length)
        return position

    def _begin_pdu(self, kind: int, length: int) -> None:
        if kind == PduType.P_DATA_TF:
            if self.state not in _P_DATA_STATES:
                raise UnexpectedPdu(f"PDU type {kind} in state {self.state}")
            if length > self._limits.pdu_bytes:
                raise MalformedPdu(f"PDU of {length} bytes, {self._limits.pdu_bytes} allowed")
            if length < 6:
                raise MalformedPdu(f"PDU of {length} bytes")
            self._type = PduType.P_DATA_TF
            self._pdu_left = length
            return
        try:
            self._type = PduType(kind)
        except ValueError:
            raise UnknownPdu(kind) from None
        self._check_allowed(_HAPPENING[self._type])
        associate = kind in (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC)
        if not (68 <= length <= self._limits.associate_pdu_bytes if associate else length == 4):
            raise MalformedPdu(f"PDU of {length} bytes")
        self._body_left = length

    def _read_fragment_header(self, view: memoryview, position: int) -> int:
        if not self._held and position + 6 <= len(view):
            length, context_id, control = _PDV.unpack_from(view, position)
            position += 6
        else:
            taken = view[position : position + 6 - len(self._held)]
            self._held += taken
            position += len(taken)
            if len(self._held) < 6:
                return position
            length, context_id, control = _PDV.unpack(self._held)
            self._held.clear()
        left = self._pdu_left - 4 - length
        if length < 2 or left < 0 or 0 < left < 6:
            raise MalformedPdu(f"fragment of {length} bytes, PDU has {self._pdu_left - 4}")
        self._pdu_left = left
        self._pdv_left = length - 2
        self._pdv_context = context_id
        self._pdv_command = bool(control & 1)
        self._pdv_last = bool(control & 2)
        return position

    def _read_fragment(self, view: memoryview, position: int, events: list[Event]) -> int:
        part = view[position : position + self._pdv_left]
        taken = len(part)
        self._pdv_left -= taken
        complete = self._pdv_left == 0
        events.append(Fragment(self._pdv_context, self._pdv_command, self._pdv_last and complete, part))
        if complete:
            self._pdv_left = -1
            if not self._pdu_left:
                self._type = None
                self.pdus_read += 1
        return position + taken

    def _end_pdu(self, events: list[Event]) -> None:
        body, kind = bytes(self._held), self._type
        self._held.clear()
        self._type = None
        self.pdus_read += 1
        match kind:
            case PduType.ASSOCIATE_RQ:
                request = pdu.decode_request(body)
                self._turn(Happening.REQUEST_PDU)
                events.append(AssociateRequested(request))
            case PduType.ASSOCIATE_AC:
                accept = pdu.decode_accept(body)
                self._turn(Happening.ACCEPT_PDU)
                events.append(Accepted(accept))
            case PduType.ASSOCIATE_RJ:
                self._turn(Happening.REJECT_PDU)
                events.append(Rejected(pdu.decode_reject(body)))
            case PduType.RELEASE_RQ:
                self._turn(Happening.RELEASE_RQ_PDU)
                if self.state != State.COLLISION_ACCEPTOR_AWAITING_RP:  # there the answer waits for the peer's own
                    events.append(ReleaseRequested())
            case PduType.RELEASE_RP:
                self._turn(Happening.RELEASE_RP_PDU)
                events.append(Released() if self.state == State.IDLE else ReleaseRequested())
            case _:
                self._turn(Happening.ABORT_PDU)
                events.append(Aborted(pdu.decode_abort(body)))

    # -- the table ---------------------------------------------------------------------------------------------------

    def _check_allowed(self, happening: Happening) -> None:
        action = ACTIONS.get((happening, self.state), "AA-8")
        if action in ("AA-1", "AA-8"):
            raise UnexpectedPdu(f"event {happening} in state {self.state}")

    def _turn(self, happening: Happening) -> None:
        """Go where the table says; a wish that is not allowed now is the caller's error."""
        action = ACTIONS.get((happening, self.state))
        if action is None:
            raise InvariantError(f"event {happening} in state {self.state}")
        self.state = after(action, is_requestor=self._is_requestor)

    def _end(self, abort: Abort) -> None:
        self.state = State.AWAITING_CLOSE
        self._held.clear()
        self._type = None
        self._body_left = self._pdu_left = 0
        self._pdv_left = -1
        self._out.append(pdu.encode_abort(abort))
