"""Writes data sets from trees: explicit VR little and big endian, implicit VR little endian.

Elements leave in tag order, values padded to even length, sequences and items with their lengths, no group lengths.
Source: DICOM PS3.5 chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812  # `error` alone says nothing where it is caught
from typing import Final, NamedTuple, cast

from engine.core.errors import InvariantError
from engine.dicom.dictionary import tag_of, vr_of
from engine.dicom.scanner import EXPLICIT_BIG, IMPLICIT_LITTLE
from engine.dicom.text import TEXT_VRS, UTF_8, CharacterSets, encode_text, transliterate
from engine.dicom.tree import NUMBERS, SPECIFIC_CHARACTER_SET, Tree, Value

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
IDENTIFIERS: Final = frozenset(
    {
        "AccessionNumber",
        "AdmissionID",
        "CodeValue",
        "CodingSchemeDesignator",
        "FillerOrderNumberImagingServiceRequest",
        "IssuerOfPatientID",
        "LocalNamespaceEntityID",
        "PatientID",
        "PlacerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "StudyID",
        "UniversalEntityID",
    }
)
"""Attributes that are never transliterated."""


Attempt = Callable[[CharacterSets, bool], bytes]
"""Encodes with these character sets, changing texts that do not fit when the second argument is true."""


class _Layout(NamedTuple):
    order: str
    short: Struct
    long: Struct
    implicit: Struct


_LITTLE: Final = _Layout("<", Struct("<H"), Struct("<I"), Struct("<HHI"))
_BIG: Final = _Layout(">", Struct(">H"), Struct(">I"), Struct(">HHI"))


class NotExpressible(Exception):  # a question answered inside this room, not an error of the engine
    """A text does not fit the character sets; `identifier` when it may not be transliterated either."""

    def __init__(self, *, identifier: bool) -> None:
        self.identifier = identifier
        super().__init__("text does not fit the character sets")


def encode(tree: Tree, transfer_syntax: str, sets: CharacterSets = ()) -> bytes:
    """Return the data set of `tree`, Specific Character Set included when a value needs it.

    Texts that `sets` cannot express are transliterated; an identifier that cannot makes the whole set UTF-8.

    Raises:
        InvariantError: BUG-101, an unknown keyword or a number that does not fit its VR.
    """
    body, used = best_encoding((sets,), lambda target, lossy: Encoder(transfer_syntax, target, lossy=lossy).tree(tree))
    return declared(transfer_syntax, used) + body


def best_encoding(choices: Sequence[CharacterSets], attempt: Attempt) -> tuple[bytes, CharacterSets]:
    """Call `attempt(sets, lossy)` with the default repertoire, then each choice, then the first one lossily.

    Source: spec/worklist.md section 4.3.
    """
    for sets in ((), *choices):
        try:
            return attempt(sets, False), sets
        except NotExpressible:
            continue
    if choices and choices[0]:
        try:
            return attempt(choices[0], True), choices[0]
        except NotExpressible:
            pass
    return attempt(UTF_8, True), UTF_8


def declared(transfer_syntax: str, sets: CharacterSets) -> bytes:
    """Return the element (0008,0005), or nothing for the default repertoire."""
    return Encoder(transfer_syntax).element(SPECIFIC_CHARACTER_SET, "CS", "\\".join(sets)) if sets else b""


class Encoder:
    """Writes elements in one transfer syntax and one list of character sets; holds no other state."""

    __slots__ = ("_is_explicit", "_layout", "_lossy", "_sets")

    def __init__(self, transfer_syntax: str, sets: CharacterSets = (), *, lossy: bool = False) -> None:
        self._is_explicit = transfer_syntax != IMPLICIT_LITTLE
        self._layout = _BIG if transfer_syntax == EXPLICIT_BIG else _LITTLE
        self._sets = sets
        self._lossy = lossy

    def tree(self, tree: Tree) -> bytes:
        """Return all elements of `tree` in tag order."""
        try:
            tagged = sorted((tag_of(keyword), keyword) for keyword in tree)
        except KeyError as cause:
            raise InvariantError("tree has a key that is no DICOM keyword") from cause
        return b"".join(
            [
                self.element(tag, vr_of(tag), tree[keyword], keyword)
                for tag, keyword in tagged
                if tag != SPECIFIC_CHARACTER_SET
            ]
        )

    def element(self, tag: int, vr: str, value: Value, keyword: str = "") -> bytes:
        """Return one element; None and "" are zero length.

        Raises:
            NotExpressible: the text does not fit and may not be changed.
        """
        if not value:
            return self.header(tag, vr, 0)
        if vr == "SQ":
            return self.sequence(tag, [self.tree(item) for item in cast("Sequence[Tree]", value)])
        if vr in NUMBERS:
            return self._with_header(tag, vr, self._numbers(vr, value))
        text = value if isinstance(value, str) else "\\".join(cast("Sequence[str]", value))
        raw = text.encode("ascii") if text.isascii() else self._foreign(vr, text, keyword)
        if len(raw) & 1:
            raw += b"\0" if vr == "UI" else b" "
        return self._with_header(tag, vr, raw)

    def sequence(self, tag: int, items: Sequence[bytes]) -> bytes:
        """Return a sequence of encoded items."""
        item_header = self._layout.implicit.pack
        parts = [part for item in items for part in (item_header(0xFFFE, 0xE000, len(item)), item)]
        content = b"".join(parts)
        return self.header(tag, "SQ", len(content)) + content

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Return what stands in front of a value."""
        prefix, is_long = _prefix(tag, vr, self._is_explicit, self._layout is _BIG)
        return prefix + (self._layout.long if is_long else self._layout.short).pack(length)

    def _with_header(self, tag: int, vr: str, raw: bytes) -> bytes:
        if len(raw) > 0xFFFE and self._is_explicit and vr not in LONG_VRS:
            vr = "UN"  # PS3.5 6.2.2 note 2: what does not fit a short length is written as UN
        return self.header(tag, vr, len(raw)) + raw

    def _foreign(self, vr: str, text: str, keyword: str) -> bytes:
        if vr not in TEXT_VRS:
            return text.encode("ascii", "replace")
        raw = encode_text(text, self._sets)
        if raw is not None:
            return raw
        identifier = keyword in IDENTIFIERS
        if identifier or not self._lossy:
            raise NotExpressible(identifier=identifier)
        return encode_text(transliterate(text, self._sets), self._sets) or b""

    def _numbers(self, vr: str, value: Value) -> bytes:
        texts = [value] if isinstance(value, str) else cast("Sequence[str]", value)
        try:
            numbers = [float(text) if vr in ("FL", "FD") else int(text) for text in texts or ()]
            return Struct(f"{self._layout.order}{len(numbers)}{NUMBERS[vr]}").pack(*numbers)
        except (ValueError, OverflowError, StructError) as cause:
            raise InvariantError(f"value is no {vr}") from cause


@lru_cache(maxsize=4096)
def _prefix(tag: int, vr: str, is_explicit: bool, is_big: bool) -> tuple[bytes, bool]:
    """Return the header without its length, and whether the length takes four bytes."""
    group_element = Struct(">HH" if is_big else "<HH").pack(tag >> 16, tag & 0xFFFF)
    if not is_explicit:
        return group_element, True
    if vr in LONG_VRS:
        return group_element + vr.encode() + b"\0\0", True
    return group_element + vr.encode(), False
