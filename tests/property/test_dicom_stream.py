"""Whatever a peer sends, the upper layer answers with events and our errors, and holds no more than its limits."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import EngineError
from engine.core.limits import DEFAULT_LIMITS
from engine.dicom import command as dimse
from engine.dicom import pdu
from engine.dicom.association import Aborted, Accepted, AssociateRequested, Association, Fragment
from engine.dicom.pdu import AssociateAccept, AssociateRequest, ProposedContext
from engine.dicom.user_information import UserInformation

LIMITS = replace(DEFAULT_LIMITS, pdu_bytes=4096, associate_pdu_bytes=4096)
REQUEST = pdu.encode_request(
    AssociateRequest(
        called_ae="ISTHMUS",
        calling_ae="CT1",
        contexts=(ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),),
        user=UserInformation(max_length=4096, implementation_uid="1.2.3", async_window=(1, 1)),
    )
)
ACCEPT = AssociateAccept(called_ae="", calling_ae="", results=(), user=UserInformation())
COMMAND = dimse.encode(
    {"AffectedSOPClassUID": "1.2.840.10008.1.1", "CommandField": 0x30, "MessageID": 1, "CommandDataSetType": 0x0101}
)

pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([REQUEST, pdu.RELEASE_RQ, pdu.RELEASE_RP, b"\x07\0\0\0\0\4\0\0\0\0", pdu.encode_accept(ACCEPT)]),
    st.builds(
        lambda payload, is_command: dimse.p_data(1, is_command=is_command, payload=payload, max_pdu=200),
        st.binary(max_size=600),
        st.booleans(),
    ),
    st.builds(
        lambda kind, length, body: bytes((kind, 0)) + length.to_bytes(4, "big") + body,
        st.integers(0, 9),
        st.one_of(st.integers(0, 300), st.integers(0, 0xFFFFFFFF)),
        st.binary(max_size=300),
    ),
)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    data = bytearray(original)
    for position, value in draw(
        st.lists(st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255)), max_size=6)
    ):
        data[position] = value
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


@given(st.lists(st.one_of(pieces, mutated(REQUEST)), max_size=8), st.integers(1, 400), st.booleans())
def test_any_stream_gives_events_and_bounded_memory(stream: list[bytes], step: int, is_requestor: bool) -> None:
    association = Association(is_requestor=is_requestor, limits=LIMITS)
    if is_requestor:
        association.send_associate(AssociateRequest(called_ae="", calling_ae="", contexts=(), user=UserInformation()))
    data = b"".join(stream)
    surfaced = 0

    for start in range(0, len(data), step):
        for event in association.receive(data[start : start + step]):
            match event:
                case AssociateRequested():
                    with contextlib.suppress(EngineError):
                        association.accept(ACCEPT)
                case Fragment():
                    surfaced += len(event.value)
                case Aborted() if event.error is not None:
                    assert event.error.code in ("DCM-103", "DCM-104", "DCM-105")
                case Accepted():
                    assert is_requestor
                case _:
                    pass
        assert len(association._held) <= LIMITS.associate_pdu_bytes

    assert surfaced <= len(data)


@given(mutated(REQUEST[6:]))
def test_a_mutated_request_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(EngineError):
        pdu.decode_request(body)
    with contextlib.suppress(EngineError):
        pdu.decode_accept(body)


@given(st.one_of(mutated(COMMAND), st.binary(max_size=100)))
def test_a_mutated_command_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        command = dimse.decode(data)
        assert isinstance(command["CommandField"], int)


@given(st.binary(max_size=2000), st.integers(0, 300), st.integers(1, 500))
def test_what_is_cut_comes_back_together(payload: bytes, max_pdu: int, step: int) -> None:
    association = Association(is_requestor=False)
    association.receive(REQUEST)
    association.accept(ACCEPT)
    stream = dimse.p_data(7, is_command=False, payload=payload, max_pdu=max_pdu)
    read = bytearray()
    ends = 0

    for start in range(0, len(stream), step):
        for event in association.receive(stream[start : start + step]):
            assert isinstance(event, Fragment)
            read += event.value
            ends += event.is_last

    assert (bytes(read), ends) == (payload, 1)
