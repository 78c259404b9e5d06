"""Presentation contexts: what is accepted, and what the refusals say."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import StoragePresentationContexts
from pynetdicom.sop_class import _STORAGE_CLASSES

from engine.connectors.dicom.storage import StorageService
from engine.connectors.dicom.verification import VerificationService
from engine.connectors.dicom.worklist import WorklistService
from engine.dicom import sop_class
from engine.dicom.negotiation import negotiate, refusal
from engine.dicom.pdu import AssociateReject, AssociateRequest, ContextResult, ProposedContext
from engine.dicom.user_information import UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def supported(abstract_syntax: str) -> Collection[str] | None:
    return frozenset({sop_class.IMPLICIT_VR_LITTLE_ENDIAN, JPEG_LS}) if abstract_syntax == CT else None


def test_the_first_syntax_of_the_proposer_wins() -> None:
    contexts = (
        ProposedContext(1, CT, (JPEG_LS, sop_class.IMPLICIT_VR_LITTLE_ENDIAN)),
        ProposedContext(3, CT, (sop_class.EXPLICIT_VR_LITTLE_ENDIAN, sop_class.IMPLICIT_VR_LITTLE_ENDIAN, JPEG_LS)),
        ProposedContext(5, CT, (sop_class.EXPLICIT_VR_BIG_ENDIAN,)),
        ProposedContext(7, "1.2.3", (JPEG_LS,)),
        ProposedContext(9, CT, ()),
    )

    implicit = sop_class.IMPLICIT_VR_LITTLE_ENDIAN
    assert negotiate(contexts, supported) == (
        ContextResult(1, 0, JPEG_LS),
        ContextResult(3, 0, implicit),
        ContextResult(5, 4, implicit),
        ContextResult(7, 3, implicit),
        ContextResult(9, 4, implicit),
    )


@pytest.mark.parametrize(
    ("version", "application_context", "expected"),
    [
        (1, "1.2.840.10008.3.1.1.1", None),
        (3, "1.2.840.10008.3.1.1.1", None),
        (2, "1.2.840.10008.3.1.1.1", (AssociateReject(1, 2, 2), "DCM-101")),
        (1, "1.2.3", (AssociateReject(1, 1, 2), "DCM-102")),
        (1, "", (AssociateReject(1, 1, 2), "DCM-102")),
    ],
)
def test_version_and_application_context(
    version: int, application_context: str, expected: tuple[AssociateReject, str] | None
) -> None:
    found = refusal(
        AssociateRequest(
            called_ae="A",
            calling_ae="B",
            contexts=(),
            user=UserInformation(),
            application_context=application_context,
            protocol_version=version,
        )
    )

    assert (found if found is None else (found[0], found[1].code)) == expected


def test_every_storage_class_that_pydicom_or_pynetdicom_knows_is_taken_in_every_syntax_that_is_not_deflated() -> None:
    storage = StorageService(sink=None)  # type: ignore[arg-type]  # nothing is stored here

    for context in StoragePresentationContexts:
        assert storage.transfer_syntaxes(str(context.abstract_syntax)) is not None
    assert {str(uid) for uid in _STORAGE_CLASSES.values()} <= set(sop_class.STORAGE_CLASSES)
    taken = storage.transfer_syntaxes(CT)
    assert taken is not None
    for uid in AllTransferSyntaxes:
        stored = not uid.startswith("1.2.840.10008.1.2.7")  # video over RTP, not files
        stored &= not uid.is_deflated and "Deflate" not in uid.name.split()  # pydicom says not of all of them
        assert (uid in taken) == stored, uid


def test_unknown_classes_and_deflated_only_by_option() -> None:
    plain = StorageService(sink=None)  # type: ignore[arg-type]
    broad = StorageService(sink=None, accept_unknown=True, accept_deflated=True)  # type: ignore[arg-type]
    deflated = sop_class.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

    assert plain.transfer_syntaxes("1.2.3.4.5") is None
    assert deflated not in (plain.transfer_syntaxes(CT) or ())
    assert deflated in (broad.transfer_syntaxes("1.2.3.4.5") or ())
    assert broad.transfer_syntaxes(sop_class.MODALITY_WORKLIST_FIND) is None
    assert broad.transfer_syntaxes(sop_class.STORAGE_COMMITMENT_PUSH) is None


def test_each_service_knows_its_own() -> None:
    verification = VerificationService()
    worklist = WorklistService(source=None)  # type: ignore[arg-type]

    assert sop_class.IMPLICIT_VR_LITTLE_ENDIAN in (verification.transfer_syntaxes(sop_class.VERIFICATION) or ())
    assert verification.transfer_syntaxes(CT) is None
    assert sop_class.EXPLICIT_VR_LITTLE_ENDIAN in (worklist.transfer_syntaxes(sop_class.MODALITY_WORKLIST_FIND) or ())
    assert worklist.transfer_syntaxes(CT) is None


def test_transfer_syntaxes_say_how_a_data_set_is_written() -> None:
    table = sop_class.TRANSFER_SYNTAXES

    assert not table[sop_class.IMPLICIT_VR_LITTLE_ENDIAN].is_explicit
    assert not table[sop_class.EXPLICIT_VR_BIG_ENDIAN].is_little_endian
    assert table[sop_class.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN].is_deflated
    assert table[JPEG_LS].is_encapsulated
    assert not table[JPEG_LS].is_deflated
