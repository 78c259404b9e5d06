"""Tag, keyword and value representation of every public attribute, in flat tables.

pydicom keeps the standard's dictionary up to date; asking it per element is too slow for the hot path.
Source: DICOM PS3.6 chapter 6.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pydicom._dicom_dict import DicomDictionary

_ROWS: Final[dict[int, tuple[str, str, str, str, str]]] = DicomDictionary

VR_OF_TAG: Final = MappingProxyType({tag: row[0][:2] for tag, row in _ROWS.items() if len(row[0].split()[0]) == 2})
"""First allowed VR of a tag: `US or SS` counts as US."""
KEYWORD_OF_TAG: Final = MappingProxyType({tag: row[4] for tag, row in _ROWS.items() if row[4]})
TAG_OF_KEYWORD: Final = MappingProxyType({keyword: tag for tag, keyword in KEYWORD_OF_TAG.items()})


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword; a tag written as eight hexadecimal digits is its own keyword.

    Raises:
        KeyError: neither a keyword nor a tag.
    """
    tag = TAG_OF_KEYWORD.get(keyword)
    if tag is not None:
        return tag
    if len(keyword) == 8:
        try:
            return int(keyword, 16)
        except ValueError:
            pass
    raise KeyError(keyword)


def keyword_of(tag: int) -> str:
    """Return the keyword of a tag, or its eight hexadecimal digits when it has none (private attributes)."""
    return KEYWORD_OF_TAG.get(tag) or f"{tag:08X}"


def vr_of(tag: int) -> str:
    """Return the VR of a tag, `UN` when the dictionary does not know it."""
    return VR_OF_TAG.get(tag, "UN")
