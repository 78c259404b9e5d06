"""The SOP classes and transfer syntaxes there are, from the tables of pydicom and pynetdicom.

Source: DICOM PS3.6 annex A; PS3.4 annex B.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom.sop_class import _STORAGE_CLASSES

VERIFICATION: Final = "1.2.840.10008.1.1"
MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
MODALITY_PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
STORAGE_COMMITMENT_PUSH: Final = "1.2.840.10008.1.20.1"
INSTANCE_AVAILABILITY_NOTIFICATION: Final = "1.2.840.10008.5.1.4.33"

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
"""What services other than storage speak."""

_DEFLATED: Final = frozenset({DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_NOT_A_DATA_SET: Final = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.", "1.2.840.10008.1.20")
"""MIME and XML encodings, real-time video streams, and Papyrus 3: nothing that a file of Part 10 can hold as is."""
_NOT_AN_INSTANCE: Final = ("MediaStorageDirectoryStorage", "StorageCommitment")


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is written. `is_deflated` means the whole data set is a deflate stream."""

    uid: str
    name: str
    is_explicit: bool
    is_little_endian: bool
    is_deflated: bool
    is_encapsulated: bool


def _transfer_syntaxes() -> dict[str, TransferSyntax]:
    return {
        uid: TransferSyntax(
            uid=uid,
            name=entry[0],
            is_explicit=uid != IMPLICIT_VR_LITTLE_ENDIAN,
            is_little_endian=uid != EXPLICIT_VR_BIG_ENDIAN,
            is_deflated=uid in _DEFLATED,
            is_encapsulated=UID(uid).is_encapsulated,
        )
        for uid, entry in UID_dictionary.items()
        if entry[1] == "Transfer Syntax" and not uid.startswith(_NOT_A_DATA_SET)
    }


def _storage_classes() -> dict[str, str]:
    known = {
        uid: entry[4]
        for uid, entry in UID_dictionary.items()
        if entry[1] == "SOP Class" and "Storage" in entry[4] and not entry[4].startswith(_NOT_AN_INSTANCE)
    }
    return known | {str(uid): keyword for keyword, uid in _STORAGE_CLASSES.items()}


TRANSFER_SYNTAXES: Final = _transfer_syntaxes()
"""Every transfer syntax in which a data set can be stored, retired ones included, by UID."""

STORAGE_CLASSES: Final = _storage_classes()
"""UID → keyword of every SOP class whose instances can be stored, retired ones included."""

STORABLE_SYNTAXES: Final = frozenset(uid for uid, syntax in TRANSFER_SYNTAXES.items() if not syntax.is_deflated)
"""What a storage service takes by default: all that is not deflated (a deflate bomb cannot be told by its length)."""

KNOWN_UIDS: Final = frozenset(UID_dictionary)
"""Every UID of PS3.6; an abstract syntax that is not among them is private."""
