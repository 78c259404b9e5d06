"""The PDU codecs against pynetdicom's, in both directions, and what they refuse."""

from __future__ import annotations

import pytest
from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from engine.core.errors import InvariantError
from engine.dicom import pdu
from engine.dicom.errors import MalformedPdu
from engine.dicom.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest, ContextResult, ProposedContext
from engine.dicom.user_information import RoleSelection, UserIdentity, UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
MWL = "1.2.840.10008.5.1.4.31"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

REQUEST = AssociateRequest(
    called_ae="ISTHMUS",
    calling_ae="CT 1",
    contexts=(ProposedContext(1, CT, (EXPLICIT, IMPLICIT)), ProposedContext(3, MWL, (IMPLICIT,))),
    user=UserInformation(
        max_length=16382,
        implementation_uid="1.2.3.4",
        implementation_version="TEST_1",
        async_window=(5, 6),
        roles=(RoleSelection(CT, scu=True, scp=True),),
        extended=((MWL, b"\x01\x00\x01"),),
        identity=UserIdentity(2, True, b"somebody", b"secret"),
    ),
)
ACCEPT = AssociateAccept(
    called_ae="ISTHMUS",
    calling_ae="CT 1",
    results=(ContextResult(1, 0, EXPLICIT), ContextResult(3, 4, IMPLICIT)),
    user=UserInformation(
        max_length=0, implementation_uid="1.2.3", implementation_version="X", identity_response=b"yes"
    ),
)


def request_of_pynetdicom() -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = pdu.APPLICATION_CONTEXT
    primitive.calling_ae_title = "CT 1"
    primitive.called_ae_title = "ISTHMUS"
    contexts = [build_context(CT, [EXPLICIT, IMPLICIT]), build_context(MWL, [IMPLICIT])]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, uid, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = 16382
    uid.implementation_class_uid = "1.2.3.4"
    version.implementation_version_name = "TEST_1"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 6
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = MWL
    extended.service_class_application_information = b"\x01\x00\x01"
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = 2, True
    identity.primary_field, identity.secondary_field = b"somebody", b"secret"
    role = build_role(CT, scp_role=True, scu_role=True)
    primitive.user_information = [length, uid, window, role, version, extended, identity]
    rq = A_ASSOCIATE_RQ()
    rq.from_primitive(primitive)
    return bytes(rq.encode())


def test_our_request_is_what_pynetdicom_writes_and_reads() -> None:
    encoded = pdu.encode_request(REQUEST)

    assert pdu.decode_request(request_of_pynetdicom()[6:]) == REQUEST
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encoded)
    assert (theirs.called_ae_title, theirs.calling_ae_title) == ("ISTHMUS", "CT 1")
    assert [(c.context_id, c.abstract_syntax, c.transfer_syntax) for c in theirs.presentation_context] == [
        (1, CT, [EXPLICIT, IMPLICIT]),
        (3, MWL, [IMPLICIT]),
    ]
    assert theirs.user_information.maximum_length == 16382
    assert theirs.user_information.implementation_class_uid == "1.2.3.4"
    assert theirs.user_information.implementation_version_name == "TEST_1"
    assert theirs.user_information.user_identity.primary_field == b"somebody"
    assert theirs.user_information.role_selection[CT].scp_role == 1
    assert theirs.user_information.async_ops_window.max_operations_performed == 6
    assert theirs.user_information.ext_neg[0].app_info == b"\x01\x00\x01"


def test_a_decoded_request_is_written_as_it_was() -> None:
    assert pdu.decode_request(pdu.encode_request(REQUEST)[6:]) == REQUEST


def test_our_accept_is_read_by_pynetdicom_and_by_us() -> None:
    encoded = pdu.encode_accept(ACCEPT)

    theirs = A_ASSOCIATE_AC()
    theirs.decode(encoded)
    assert [(c.context_id, c.result, c.transfer_syntax) for c in theirs.presentation_context] == [
        (1, 0, EXPLICIT),
        (3, 4, IMPLICIT),
    ]
    assert theirs.user_information.maximum_length == 0
    assert theirs.encode() == encoded
    assert pdu.decode_accept(encoded[6:]) == ACCEPT


def test_the_short_pdus_are_pynetdicoms() -> None:
    rejected, aborted = A_ASSOCIATE_RJ(), A_ABORT_RQ()
    rejected.decode(pdu.encode_reject(AssociateReject(2, 3, 2)))
    aborted.decode(pdu.encode_abort(Abort(2, 6)))

    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    assert (aborted.source, aborted.reason_diagnostic) == (2, 6)
    assert (A_RELEASE_RQ().encode(), A_RELEASE_RP().encode()) == (pdu.RELEASE_RQ, pdu.RELEASE_RP)
    assert pdu.decode_reject(pdu.encode_reject(AssociateReject(2, 3, 2))[6:]) == AssociateReject(2, 3, 2)
    assert pdu.decode_abort(pdu.encode_abort(Abort(0, 0))[6:]) == Abort(0, 0)


def test_unknown_items_are_passed_over_and_padding_is_not_part_of_a_title() -> None:
    body = bytearray(pdu.encode_request(REQUEST)[6:])
    body[4:20] = b"  ISTHMUS\0\0\0\0\0\0\0"
    body += b"\x77\x00\x00\x02ab"

    assert pdu.decode_request(bytes(body)) == REQUEST


def test_an_identity_is_not_shown() -> None:
    assert "secret" not in repr(REQUEST)
    assert "somebody" not in repr(REQUEST)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (b"\x20\x00", "item cut"),
        (b"\x20\x00\xff\xff", "longer than what holds it"),
        (b"\x20\x00\x00\x02ab", "presentation context of 2 bytes"),
        (b"\x20\x00\x00\x06\x01\0\0\0\x30\x00", "item cut"),
        (b"\x20\x00\x00\x08\x01\0\0\0\x30\x00\x00\x09", "longer than what holds it"),
        (b"\x20\x00\x00\x4a\x01\0\0\0\x30\x00\x00\x42" + b"1" * 66, "UID of 66 bytes"),
        (b"\x10\x00\x00\x02\xff\xff", "UID is not ASCII"),
        (b"\x50\x00\x00\x05\x51\x00\x00\x01\x00", "number of 1 bytes"),
        (b"\x50\x00\x00\x07\x54\x00\x00\x03\x00\x01\x31", "role selection"),
        (b"\x50\x00\x00\x05\x54\x00\x00\x01\x00", "length cut"),
        (b"\x50\x00\x00\x06\x56\x00\x00\x02\x00\x09", "value longer than its item"),
        (b"\x50\x00\x00\x05\x58\x00\x00\x01\x00", "user identity"),
    ],
)
def test_a_malformed_item_is_refused(tail: bytes, words: str) -> None:
    body = pdu.encode_request(REQUEST)[6:74] + tail

    with pytest.raises(MalformedPdu, match=words) as refused:
        pdu.decode_request(body)
    assert refused.value.code == "DCM-103"


def test_a_malformed_accept_is_refused() -> None:
    with pytest.raises(MalformedPdu, match="of 2 bytes"):
        pdu.decode_accept(bytes(68) + b"\x21\x00\x00\x02ab")
    with pytest.raises(MalformedPdu, match="association PDU"):
        pdu.decode_accept(bytes(67))


def test_an_ae_title_is_never_cut() -> None:
    with pytest.raises(InvariantError):
        pdu.encode_request(AssociateRequest(called_ae="A" * 17, calling_ae="B", contexts=(), user=UserInformation()))
