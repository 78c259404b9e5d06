"""The upper layer without a socket: the standard's table, fragments as they arrive, and how rule-breakers are told."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from pynetdicom.fsm import ACTIONS as THEIR_ACTIONS
from pynetdicom.fsm import TRANSITION_TABLE

from engine.core.errors import InvariantError
from engine.core.limits import DEFAULT_LIMITS
from engine.dicom import pdu
from engine.dicom.association import (
    Aborted,
    Accepted,
    AssociateRequested,
    Association,
    Event,
    Fragment,
    Rejected,
    Released,
    ReleaseRequested,
)
from engine.dicom.command import p_data
from engine.dicom.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest
from engine.dicom.upper_layer import ACTIONS, Happening, State, after
from engine.dicom.user_information import UserInformation

LIMITS = replace(DEFAULT_LIMITS, pdu_bytes=1000, associate_pdu_bytes=2000)
REQUEST = AssociateRequest(called_ae="A", calling_ae="B", contexts=(), user=UserInformation(max_length=1000))
ACCEPT = AssociateAccept(called_ae="A", calling_ae="B", results=(), user=UserInformation(max_length=1000))


def acceptor(state: State = State.ESTABLISHED) -> Association:
    association = Association(is_requestor=False, limits=LIMITS)
    if state >= State.AWAITING_LOCAL_ANSWER:
        association.receive(pdu.encode_request(REQUEST))
    if state >= State.ESTABLISHED:
        association.accept(ACCEPT)
        association.data_to_send()
    assert association.state == state
    return association


def requestor(state: State = State.ESTABLISHED) -> Association:
    association = Association(is_requestor=True, limits=LIMITS)
    association.send_associate(REQUEST)
    association.data_to_send()
    if state == State.ESTABLISHED:
        association.receive(pdu.encode_accept(ACCEPT))
    assert association.state == state
    return association


def test_the_table_is_the_standards() -> None:
    theirs = {
        (Happening(int(event[3:])), State(int(state[3:]))): action
        for (event, state), action in TRANSITION_TABLE.items()
    }

    assert theirs == ACTIONS
    for action in set(ACTIONS.values()):
        following = THEIR_ACTIONS[action][2]
        expected = {following} if isinstance(following, str) else set(following)
        ours = {f"Sta{after(action, is_requestor=requestor).value}" for requestor in (True, False)}
        assert ours <= expected, action


def test_two_of_them_talk_and_part() -> None:
    ours, theirs = Association(is_requestor=True), Association(is_requestor=False)

    ours.send_associate(REQUEST)
    assert theirs.receive(ours.data_to_send()) == [AssociateRequested(REQUEST)]
    theirs.accept(ACCEPT)
    assert ours.receive(theirs.data_to_send()) == [Accepted(ACCEPT)]
    ours.send_data(p_data(1, is_command=True, payload=b"abcd", max_pdu=0))
    assert theirs.receive(ours.data_to_send()) == [Fragment(1, True, True, memoryview(b"abcd"))]
    ours.release()
    assert theirs.receive(ours.data_to_send()) == [ReleaseRequested()]
    assert theirs.may_send
    theirs.answer_release()
    assert ours.receive(theirs.data_to_send()) == [Released()]
    assert ours.is_over
    assert theirs.is_over
    assert ours.data_to_send() == theirs.data_to_send() == b""


def test_a_refusal() -> None:
    ours, theirs = requestor(State.AWAITING_ACCEPT_OR_REJECT_PDU), acceptor(State.AWAITING_LOCAL_ANSWER)

    theirs.reject(AssociateReject(1, 1, 7))

    assert ours.receive(theirs.data_to_send()) == [Rejected(AssociateReject(1, 1, 7))]
    assert ours.is_over
    assert theirs.is_over


def test_both_ask_to_release_at_once() -> None:
    ours, theirs = requestor(), acceptor()
    ours.release()
    theirs.release()
    to_them, to_us = ours.data_to_send(), theirs.data_to_send()

    assert theirs.receive(to_them) == []
    assert ours.receive(to_us) == [ReleaseRequested()]
    ours.answer_release()
    assert theirs.receive(ours.data_to_send()) == [ReleaseRequested()]
    theirs.answer_release()
    assert ours.receive(theirs.data_to_send()) == [Released()]


@pytest.mark.parametrize("step", [1, 2, 5, 7, 64, 10_000])
def test_fragments_surface_however_the_stream_is_cut(step: int) -> None:
    association = acceptor()
    values = [b"", b"a" * 30, b"b" * 700, b"c"]
    stream = b"".join(p_data(3, is_command=False, payload=value, max_pdu=200) for value in values)
    pair = struct.pack(">BxI", 4, 18) + b"\0\0\0\5\3\0xyz" + b"\0\0\0\5\3\2uvw"
    stream += pair + p_data(1, is_command=True, payload=b"end", max_pdu=200)

    events: list[Event] = []
    whole = [b""]
    for start in range(0, len(stream), step):
        for event in association.receive(stream[start : start + step]):
            events.append(event)
            assert isinstance(event, Fragment)
            whole[-1] += event.value
            if event.is_last:
                whole.append(b"")

    assert whole == [*values, b"xyzuvw", b"end", b""]
    assert isinstance(events[-1], Fragment)
    assert events[-1].is_command
    assert events[-1].context_id == 1
    assert not association.is_mid_pdu


def test_an_unfinished_fragment_surfaces_in_parts_without_copies() -> None:
    association = acceptor()
    chunk = p_data(1, is_command=False, payload=b"a" * 100, max_pdu=0)[:50]

    (event,) = association.receive(chunk)

    assert isinstance(event, Fragment)
    assert (event.value.obj, len(event.value), event.is_last) == (chunk, 38, False)
    assert association.is_mid_pdu
    assert association.pdus_read == acceptor().pdus_read


def header(kind: int, length: int, more: bytes = b"") -> bytes:
    return struct.pack(">BxI", kind, length) + more


@pytest.mark.parametrize(
    ("state", "stream", "reason", "code"),
    [
        (State.AWAITING_REQUEST_PDU, header(1, 2001), 6, "DCM-103"),
        (State.AWAITING_REQUEST_PDU, header(1, 67), 6, "DCM-103"),
        (State.AWAITING_REQUEST_PDU, header(1, 70, bytes(70)), 6, "DCM-103"),
        (State.AWAITING_REQUEST_PDU, header(4, 10), 2, "DCM-105"),
        (State.AWAITING_REQUEST_PDU, header(2, 68), 2, "DCM-105"),
        (State.AWAITING_REQUEST_PDU, header(5, 4), 2, "DCM-105"),
        (State.AWAITING_REQUEST_PDU, b"GET / HTTP/1.1\r\n\r\n", 1, "DCM-104"),
        (State.ESTABLISHED, header(0, 0), 1, "DCM-104"),
        (State.ESTABLISHED, header(8, 4), 1, "DCM-104"),
        (State.ESTABLISHED, header(1, 68), 2, "DCM-105"),
        (State.ESTABLISHED, header(6, 4), 2, "DCM-105"),
        (State.ESTABLISHED, header(5, 5), 6, "DCM-103"),
        (State.ESTABLISHED, header(7, 0xFFFFFFFF), 6, "DCM-103"),
        (State.ESTABLISHED, header(4, 1001), 6, "DCM-103"),
        (State.ESTABLISHED, header(4, 5), 6, "DCM-103"),
        (State.ESTABLISHED, header(4, 10, b"\0\0\0\1\1\3"), 6, "DCM-103"),
        (State.ESTABLISHED, header(4, 10, b"\0\0\0\7\1\3"), 6, "DCM-103"),
        (State.ESTABLISHED, header(4, 10, b"\0\0\0\3\1\3"), 6, "DCM-103"),
        (State.ESTABLISHED, pdu.RELEASE_RQ + header(4, 10), 2, "DCM-105"),
    ],
)
def test_who_breaks_a_rule_is_aborted(state: State, stream: bytes, reason: int, code: str) -> None:
    association = acceptor(state)

    *_, event = association.receive(stream)

    assert isinstance(event, Aborted)
    assert event.error is not None
    assert (event.abort, event.error.code) == (Abort(2, reason), code)
    assert association.data_to_send() == pdu.encode_abort(Abort(2, reason))
    assert association.receive(stream) == []
    assert not association.may_send
    association.abort(Abort(0, 0))
    assert association.data_to_send() == b""


def test_a_peers_abort_is_not_answered() -> None:
    association = acceptor()

    assert association.receive(pdu.encode_abort(Abort(0, 0))) == [Aborted(Abort(0, 0))]
    assert association.data_to_send() == b""
    assert association.is_over


def test_our_own_abort_and_the_end_of_the_connection() -> None:
    association, other = acceptor(), acceptor()

    association.abort(Abort(2, 0))
    other.send_data(b"x")
    other.connection_lost()

    assert association.data_to_send() == pdu.encode_abort(Abort(2, 0))
    assert other.data_to_send() == b""
    assert other.is_over


def test_a_wish_that_is_not_allowed_now_is_our_own_mistake() -> None:
    with pytest.raises(InvariantError):
        acceptor(State.AWAITING_REQUEST_PDU).send_data(b"")
    with pytest.raises(InvariantError):
        acceptor().answer_release()
