"""A fast reader of data sets: finds the elements that are wanted, jumps over everything else.

pydicom needs 500 µs for the index values of a CT, this reader about 20 µs. It knows implicit VR little endian and
explicit VR little and big endian, follows defined and undefined lengths, reads sequences into items, and forgives what
peers really send: a data set that is not of the VR encoding its transfer syntax says, odd lengths, implicit items in
explicit data sets, sequences under UN, VRs of a later edition.
Source: DICOM PS3.5 chapter 7.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Final, NamedTuple

from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.dataset_error import UnreadableDataSet
from engine.dicom.dictionary import VR_OF_TAG

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Transfer syntaxes whose whole data set is deflated; inflate before scanning. Source: DICOM PS3.5 A.5."""

PIXEL_DATA: Final = 0x7FE00010
UNDEFINED: Final = 0xFFFFFFFF
EVERYTHING: Final = 0xFFFE0000
"""As `stop_before`: the first tag that no data set may hold."""

Buffer = bytes | bytearray | memoryview


class Element(NamedTuple):
    """One data element: raw value bytes, or the items when it is a sequence (`value` is then empty)."""

    vr: str
    value: bytes
    items: tuple[DataSet, ...] | None = None


DataSet = dict[int, Element]


class Scan(NamedTuple):
    """What a scan found, and where it stopped: the offset [bytes] of the element it was told to stop before."""

    elements: DataSet
    end: int
    is_implicit: bool
    is_big_endian: bool


_SHORT: Final = {
    vr.encode(): vr
    for vr in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
}
_LONG: Final = {
    vr.encode(): vr for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
}
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD


class _Layout(NamedTuple):
    """How element headers are read."""

    explicit: Struct
    implicit: Struct
    long: Struct


_LITTLE: Final = _Layout(Struct("<HH2sH"), Struct("<HHI"), Struct("<I"))
_BIG: Final = _Layout(Struct(">HH2sH"), Struct(">HHI"), Struct(">I"))


def scan(
    data: Buffer,
    transfer_syntax: str,
    *,
    wanted: frozenset[int] | None = None,
    stop_before: int = PIXEL_DATA,
    limits: Limits = DEFAULT_LIMITS,
) -> DataSet:
    """Return the `wanted` elements of a data set by tag; see `scan_to`."""
    return scan_to(data, transfer_syntax, wanted=wanted, stop_before=stop_before, limits=limits).elements


def scan_to(
    data: Buffer,
    transfer_syntax: str,
    *,
    wanted: frozenset[int] | None = None,
    stop_before: int = PIXEL_DATA,
    limits: Limits = DEFAULT_LIMITS,
    start: int = 0,
) -> Scan:
    """Read a data set up to the first element whose tag is `stop_before` or larger.

    Args:
        data: The data set, without file meta, not deflated.
        transfer_syntax: UID; only its byte order and VR encoding matter here.
        wanted: Tags to keep, sequences among them with everything inside; None keeps all.
        stop_before: First tag that is not read.
        limits: `dataset_depth` and `dataset_elements` are kept.
        start: Where the data set begins in `data` [bytes]; offsets in errors and results count from 0.

    Raises:
        UnreadableDataSet: DCM-110.
    Cost: about 0.2 µs an element.
    """
    is_big = transfer_syntax == EXPLICIT_BIG
    reader = _Reader(data, _BIG if is_big else _LITTLE, limits)
    is_implicit = reader.is_implicit(start, assumed=transfer_syntax == IMPLICIT_LITTLE)
    elements, end = reader.data_set(start, len(data), is_implicit, wanted, stop_before, depth=0)
    if end > len(data):
        raise UnreadableDataSet(offset=len(data), may_fall_back=False)
    return Scan(elements, end, is_implicit, is_big)


def value_range(data: Buffer, found: Scan) -> tuple[int, int, int] | None:
    """Return (tag, start, end) of the value of the element at which a scan stopped; None at the end of the data set.

    The value of encapsulated pixel data is its items, without the delimiter that ends them.

    Raises:
        UnreadableDataSet: DCM-110, the value goes on past the end.
    """
    reader = _Reader(data, _BIG if found.is_big_endian else _LITTLE, DEFAULT_LIMITS)
    return reader.value_at(found.end, found.is_implicit)


def _holds_items(vr: str, tag: int) -> bool:
    return vr == "SQ" or (vr == "UN" and VR_OF_TAG.get(tag) == "SQ")


class _Reader:
    """Walks one buffer; counts elements so that a small input cannot grow into a large memory."""

    __slots__ = ("_data", "_depth", "_end", "_explicit", "_implicit", "_left", "_long")

    def __init__(self, data: Buffer, layout: _Layout, limits: Limits) -> None:
        self._data = data
        self._end = len(data)
        self._explicit = layout.explicit.unpack_from
        self._implicit = layout.implicit.unpack_from
        self._long = layout.long.unpack_from
        self._left = limits.dataset_elements
        self._depth = limits.dataset_depth

    def is_implicit(self, at: int, *, assumed: bool) -> bool:
        """Look at the first element: a known VR after its tag means explicit, anything else implicit."""
        vr = bytes(self._data[at + 4 : at + 6])
        if len(vr) < 2:
            return assumed
        return vr not in _SHORT and vr not in _LONG and not (vr.isalpha() and vr.isupper())

    def data_set(
        self, at: int, end: int, is_implicit: bool, wanted: frozenset[int] | None, stop_before: int, depth: int
    ) -> tuple[DataSet, int]:
        """Read elements until `end`, `stop_before` or an item delimiter; return them and the offset after."""
        walk = self._walk_implicit if is_implicit else self._walk_explicit
        try:
            return walk(at, end, wanted, stop_before, depth)
        except error as cause:  # a header begins before the end of the buffer and does not fit
            raise UnreadableDataSet(offset=self._end, may_fall_back=False) from cause

    def _walk_explicit(
        self, at: int, end: int, wanted: frozenset[int] | None, stop_before: int, depth: int
    ) -> tuple[DataSet, int]:
        found: DataSet = {}
        data, head, short = self._data, self._explicit, _SHORT
        left = self._left
        while at < end:
            group, element, vr, length = head(data, at)
            tag = group << 16 | element
            if tag >= stop_before:
                if tag == _ITEM_END and depth:
                    at += 8
                elif group == 0xFFFE:
                    raise UnreadableDataSet(offset=at)
                break
            left -= 1
            if left < 0:
                raise UnreadableDataSet(offset=at, may_fall_back=False)
            keep = wanted is None or tag in wanted
            if vr in short:
                at += 8
                if keep:
                    found[tag] = Element(short[vr], bytes(data[at : at + length]))
                at += length
                continue
            name = _LONG.get(vr)
            if name is not None:
                (length,) = self._long(data, at + 8)
                at += 12
            elif (
                0x20 <= vr[0] < 0x7F and 0x20 <= vr[1] < 0x7F
            ):  # of a later edition, blank or `??`: as if it were short
                name = "UN"
                at += 8
            else:  # an element that somebody wrote with implicit VR among explicit ones
                (length,) = self._long(data, at + 4)
                name = VR_OF_TAG.get(tag, "UN")
                at += 8
                if length != UNDEFINED and at + length > end:
                    raise UnreadableDataSet(offset=at - 8)
            if length != UNDEFINED and not (keep and _holds_items(name, tag)):
                if keep:
                    found[tag] = Element(name, bytes(data[at : at + length]))
                at += length
                continue
            self._left = left
            value, at = self._nested(at, length, name, is_implicit=name == "UN", keep=keep, depth=depth + 1)
            left = self._left
            if keep:
                found[tag] = value
        self._left = left
        return found, at

    def _walk_implicit(
        self, at: int, end: int, wanted: frozenset[int] | None, stop_before: int, depth: int
    ) -> tuple[DataSet, int]:
        found: DataSet = {}
        data, head = self._data, self._implicit
        left = self._left
        while at < end:
            group, element, length = head(data, at)
            tag = group << 16 | element
            if tag >= stop_before:
                if tag == _ITEM_END and depth:
                    at += 8
                elif group == 0xFFFE:
                    raise UnreadableDataSet(offset=at)
                break
            at += 8
            left -= 1
            if left < 0:
                raise UnreadableDataSet(offset=at, may_fall_back=False)
            keep = wanted is None or tag in wanted
            if length != UNDEFINED and not (keep and VR_OF_TAG.get(tag) == "SQ"):
                if keep:
                    found[tag] = Element(VR_OF_TAG.get(tag, "UN"), bytes(data[at : at + length]))
                at += length
                continue
            self._left = left
            name = VR_OF_TAG.get(tag, "UN")
            value, at = self._nested(at, length, name, is_implicit=True, keep=keep, depth=depth + 1)
            left = self._left
            if keep:
                found[tag] = value
        self._left = left
        return found, at

    def _nested(
        self, at: int, length: int, vr: str, *, is_implicit: bool, keep: bool, depth: int
    ) -> tuple[Element, int]:
        """Read a sequence, or pixel fragments (only the small ones of an icon stand before the stop tag)."""
        if length == UNDEFINED and vr in ("OB", "OW"):
            end = self._fragments_end(at)
            return Element(vr, bytes(self._data[at:end]) if keep else b""), end + 8
        items, at = self._items(at, length, is_implicit=is_implicit, keep=keep, depth=depth)
        return Element("SQ", b"", items), at

    def _items(
        self, at: int, length: int, *, is_implicit: bool, keep: bool, depth: int
    ) -> tuple[tuple[DataSet, ...], int]:
        """Read (or only walk over) the items of a sequence whose first item begins at `at`."""
        if depth > self._depth:
            raise UnreadableDataSet(offset=at, may_fall_back=False)
        end = self._end if length == UNDEFINED else at + length
        if end > self._end:
            raise UnreadableDataSet(offset=at, may_fall_back=False)
        items: list[DataSet] = []
        wanted = None if keep else frozenset[int]()
        while at < end:
            group, element, item_length = self._implicit(self._data, at)
            tag = group << 16 | element
            if tag == _SEQUENCE_END:
                return tuple(items), at + 8
            if tag != _ITEM:
                raise UnreadableDataSet(offset=at)
            at += 8
            self._left -= 1
            if self._left < 0:
                raise UnreadableDataSet(offset=at, may_fall_back=False)
            if item_length != UNDEFINED and not keep:
                at += item_length
                continue
            item_end = end if item_length == UNDEFINED else at + item_length
            if item_end > end:
                raise UnreadableDataSet(offset=at, may_fall_back=item_end <= self._end)
            implicit = is_implicit or (item_length != 0 and self.is_implicit_item(at))
            found, at = self.data_set(at, item_end, implicit, wanted, EVERYTHING, depth)
            if at > item_end:
                raise UnreadableDataSet(offset=item_end, may_fall_back=at <= self._end)
            if keep:
                items.append(found)
        if length == UNDEFINED or at > end:
            raise UnreadableDataSet(offset=end, may_fall_back=at <= self._end and length != UNDEFINED)
        return tuple(items), at

    def is_implicit_item(self, at: int) -> bool:
        """Look at an item of an explicit data set; an empty one begins with its own delimiter."""
        (group, _, _) = self._implicit(self._data, at)
        return group != 0xFFFE and self.is_implicit(at, assumed=False)

    def value_at(self, at: int, is_implicit: bool) -> tuple[int, int, int] | None:
        """Locate the value of the element at `at`."""
        if at >= self._end:
            return None
        try:
            group, element, vr, length = self._explicit(self._data, at)
            tag = group << 16 | element
            if is_implicit or (vr not in _SHORT and vr not in _LONG):
                (length,) = self._long(self._data, at + 4)
            elif vr in _LONG:
                (length,) = self._long(self._data, at + 8)
                at += 4
            at += 8
            end = self._fragments_end(at) if length == UNDEFINED else at + length
        except error as cause:
            raise UnreadableDataSet(offset=self._end, may_fall_back=False) from cause
        if end > self._end:
            raise UnreadableDataSet(offset=self._end, may_fall_back=False)
        return tag, at, end

    def _fragments_end(self, at: int) -> int:
        while True:
            group, element, length = self._implicit(self._data, at)
            tag = group << 16 | element
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM or length == UNDEFINED:
                raise UnreadableDataSet(offset=at, may_fall_back=False)
            at += 8 + length
