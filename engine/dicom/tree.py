"""A data set as plain data: keyword → text, list of texts, or list of trees. Kept as JSON, built by the broker.

Numbers are text too, in decimal. What has no text form (OB, OW, UN …) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Final, TypeAlias

from engine.dicom.dictionary import keyword_of
from engine.dicom.scanner import DataSet, Element
from engine.dicom.text import CharacterSets, character_sets, text_of

Value: TypeAlias = "str | Sequence[str] | Sequence[Tree] | None"
Tree: TypeAlias = Mapping[str, Value]

SPECIFIC_CHARACTER_SET: Final = 0x00080005

NUMBERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
"""VRs of fixed-size numbers and their struct codes."""
NUMBER_SIZES: Final = {vr: Struct("<" + code).size for vr, code in NUMBERS.items()}
SINGLE_TEXTS: Final = frozenset({"LT", "ST", "UT", "UR"})
"""VRs in which a backslash is text."""
_OPAQUE: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})


def tree_of(elements: DataSet, *, is_big_endian: bool = False, sets: CharacterSets = ()) -> dict[str, Value]:
    """Return a scanned data set as a tree; its own character sets win over the inherited `sets`."""
    own = elements.get(SPECIFIC_CHARACTER_SET)
    sets = character_sets(own.value) if own is not None else sets
    tree: dict[str, Value] = {}
    for tag, element in elements.items():
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        if element.items is not None:
            tree[keyword_of(tag)] = [tree_of(item, is_big_endian=is_big_endian, sets=sets) for item in element.items]
        elif element.vr not in _OPAQUE:
            tree[keyword_of(tag)] = value_of(element, sets, is_big_endian=is_big_endian)
    return tree


def value_of(element: Element, sets: CharacterSets, *, is_big_endian: bool = False) -> str | list[str]:
    """Return the text of an element that is not a sequence; a list when it has several values."""
    code = NUMBERS.get(element.vr)
    if code is not None:
        count = len(element.value) // NUMBER_SIZES[element.vr]
        numbers = Struct(f"{'>' if is_big_endian else '<'}{count}{code}").unpack_from(element.value)
        texts = [str(number) for number in numbers]
        return texts[0] if count == 1 else (texts or "")
    text = text_of(element.vr, element.value, sets)
    if "\\" in text and element.vr not in SINGLE_TEXTS:
        return [part.strip(" ") for part in text.split("\\")]
    return text
