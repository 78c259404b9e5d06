"""The command set codec against pynetdicom's messages, the cutting into PDUs, and what errors become."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from pynetdicom.dimse_messages import (
    C_CANCEL_RQ,
    C_ECHO_RSP,
    C_FIND_RQ,
    C_FIND_RSP,
    C_MOVE_RQ,
    C_MOVE_RSP,
    C_STORE_RQ,
    C_STORE_RSP,
    N_ACTION_RQ,
    N_CREATE_RSP,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
)
from pynetdicom.dsutils import decode as decode_data_set
from pynetdicom.dsutils import encode as encode_data_set
from pynetdicom.pdu import P_DATA_TF

from engine.core.errors import AccessError, EngineError, InvariantError, PeerError, StorageError
from engine.dicom import command as dimse
from engine.dicom.errors import MalformedPdu, OperationNotSupported, SopClassNotSupported
from engine.dicom.status import failure_of, is_pending

CT = "1.2.840.10008.5.1.4.1.1.2"

COMMANDS: list[tuple[type[Any], dimse.Command]] = [
    (C_ECHO_RSP, {"AffectedSOPClassUID": "1.2.840.10008.1.1", "CommandField": 0x8030, "Status": 0}),
    (
        C_STORE_RQ,
        {
            "AffectedSOPClassUID": CT,
            "CommandField": 1,
            "MessageID": 7,
            "Priority": 0,
            "AffectedSOPInstanceUID": "1.2.3",
        },
    ),
    (
        C_STORE_RSP,
        {
            "CommandField": 0x8001,
            "MessageIDBeingRespondedTo": 65535,
            "Status": 0xA700,
            "ErrorComment": "STO-101 out of storage",
            "OffendingElement": (0x00100010, 0x7FE00010),
        },
    ),
    (C_FIND_RQ, {"CommandField": 0x20, "MessageID": 1}),
    (C_FIND_RSP, {"CommandField": 0x8020, "Status": 0xFF01}),
    (C_CANCEL_RQ, {"CommandField": 0x0FFF, "MessageIDBeingRespondedTo": 3}),
    (C_MOVE_RQ, {"CommandField": 0x21, "MoveDestination": "ISTHMUS"}),
    (
        C_MOVE_RSP,
        {
            "CommandField": 0x8021,
            "NumberOfRemainingSuboperations": 4,
            "NumberOfCompletedSuboperations": 3,
            "NumberOfFailedSuboperations": 2,
            "NumberOfWarningSuboperations": 1,
        },
    ),
    (
        C_STORE_RQ,
        {"CommandField": 1, "MoveOriginatorApplicationEntityTitle": "ODD", "MoveOriginatorMessageID": 9},
    ),
    (N_EVENT_REPORT_RQ, {"CommandField": 0x100, "EventTypeID": 2, "AffectedSOPInstanceUID": "1.2.840.10008.1.20.1.1"}),
    (N_ACTION_RQ, {"CommandField": 0x130, "ActionTypeID": 1, "RequestedSOPClassUID": "1.2.840.10008.1.20.1"}),
    (N_GET_RQ, {"CommandField": 0x110, "RequestedSOPInstanceUID": "1.2", "AttributeIdentifierList": (0x00400252,)}),
    (N_CREATE_RSP, {"CommandField": 0x8140, "Status": 0x0111, "ErrorID": 12}),
]


@pytest.mark.parametrize(("message", "command"), COMMANDS)
def test_pynetdicom_writes_the_same_bytes_and_reads_ours(message: type[Any], command: dimse.Command) -> None:
    command = {**command, "CommandDataSetType": 0x0101}

    ours = dimse.encode(command)
    read = decode_data_set(BytesIO(ours), is_implicit_vr=True, is_little_endian=True)

    assert encode_data_set(read, is_implicit_vr=True, is_little_endian=True) == ours
    assert read.CommandGroupLength == len(ours) - 12
    for keyword, value in command.items():
        theirs = getattr(read, keyword)
        expected = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        assert (list(expected) if isinstance(expected, tuple) else expected) == theirs
    assert dimse.decode(ours) == command
    assert {element.keyword for element in message().command_set} <= {"CommandGroupLength", *dimse._DICTIONARY}


def test_a_message_of_pynetdicom_is_read() -> None:
    message = C_STORE_RQ()
    elements = message.command_set
    elements.AffectedSOPClassUID, elements.AffectedSOPInstanceUID = CT, "1.2.3"
    elements.MessageID, elements.Priority, elements.CommandDataSetType = 9, 2, 1
    elements.CommandGroupLength, elements.CommandField = 0, 1
    encoded = encode_data_set(elements, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None

    command = dimse.decode(encoded)

    assert dimse.number(command, "CommandField") == dimse.Operation.C_STORE
    assert dimse.text(command, "AffectedSOPInstanceUID") == "1.2.3"
    assert dimse.text(command, "ErrorComment") == ""
    assert dimse.number(command, "MessageID") == 9


@pytest.mark.parametrize("size", [0, 1, 2, 93, 94, 95, 188, 1000])
@pytest.mark.parametrize("max_pdu", [100, 101])
def test_a_message_is_cut_to_the_receivers_length(size: int, max_pdu: int) -> None:
    payload = bytes(range(256)) * 4

    encoded = dimse.p_data(5, is_command=False, payload=payload[:size], max_pdu=max_pdu)

    read, position, controls = b"", 0, []
    while position < len(encoded):
        length = struct.unpack_from(">I", encoded, position + 2)[0]
        assert length <= max_pdu
        theirs = P_DATA_TF()
        theirs.decode(encoded[position : position + 6 + length])
        (item,) = theirs.presentation_data_value_items
        assert item.presentation_context_id == 5
        value = bytes(item.presentation_data_value)
        controls.append(value[0])
        read += value[1:]
        position += 6 + length
    assert read == payload[:size]
    assert controls == [0] * (len(controls) - 1) + [2]


def test_without_a_maximum_pieces_stay_bounded_and_more_may_follow() -> None:
    whole = dimse.p_data(1, is_command=True, payload=b"ab", max_pdu=0)
    part = dimse.p_data(1, is_command=False, payload=b"ab", max_pdu=0, ends=False)

    assert whole == bytes.fromhex("0400000000080000000401036162")
    assert part[11] == 0
    assert dimse.payload_bytes(0) < 1 << 20
    assert dimse.payload_bytes(8) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"",
        b"\x08\0\0\0\0\0\0\0",
        b"\0\0\0\1\4\0\0\0\1\0\0\0",
        b"\0\0\0\1\2\0\0\0",
        b"\0\0\1\\9\3\0\0\0abc",
        b"\0\0\0\1\2\0\0\0\1\0",
        b"\0\0\1\x09\2\0\0\0ab",
    ],
)
def test_what_is_not_a_command_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedPdu):
        dimse.decode(data)


def test_a_long_command_is_refused_and_a_missing_number_named() -> None:
    with pytest.raises(MalformedPdu, match="command of 11 bytes"):
        dimse.decode(bytes(11), limit_bytes=10)
    with pytest.raises(MalformedPdu) as refused:
        dimse.number({}, "MessageID")
    assert refused.value.where == "MessageID"


@pytest.mark.parametrize(
    ("error", "status", "comment", "offending"),
    [
        (SopClassNotSupported(), 0x0122, "DCM-115 SOP class not supported", (0x00000002,)),
        (OperationNotSupported(0x21), 0x0211, "DCM-116 operation 0021 not supported", ()),
        (StorageError("out of storage", code="STO-101"), 0xA700, "STO-101 out of storage", ()),
        (StorageError("other", code="MLLP-106"), 0xA700, "MLLP-106 other", ()),
        (AccessError("no", code="SEC-121"), 0x0124, "SEC-121 no", ()),
        (PeerError("no", code="SEC-121"), 0x0110, "SEC-121 no", ()),
        (InvariantError("processing failure"), 0x0110, "BUG-101 processing failure", ()),
        (
            PeerError("bad", where="ScheduledProcedureStepSequence[0].Modality", code="DCM-121"),
            0xC000,
            "DCM-121 bad",
            (0x00080060,),
        ),
        (PeerError("bad " + "x" * 80, where="nowhere", code="DCM-120"), 0xA900, "DCM-120 bad " + "x" * 52, ()),
    ],
)
def test_errors_become_a_status_a_comment_and_an_element(
    error: EngineError, status: int, comment: str, offending: tuple[int, ...]
) -> None:
    failure = failure_of(error)

    assert (failure.status, failure.comment, failure.offending) == (status, comment, offending)
    assert set(failure.fields()) == ({"ErrorComment", "OffendingElement"} if offending else {"ErrorComment"})
    assert dimse.decode(dimse.encode({"CommandField": 0x8020, "CommandDataSetType": 0x0101, **failure.fields()}))


def test_pending_means_more_follows() -> None:
    assert [status for status in (0, 0xFF00, 0xFF01, 0xFE00, 0xA700) if is_pending(status)] == [0xFF00, 0xFF01]
