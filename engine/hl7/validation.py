"""Whether a message is what its version of the standard says: structure, fields, data types, tables.

The tables are hl7apy's, the reading is our own lazy view, so every problem has its place and nothing raises. It costs a
millisecond for a small message and more for a long one: call it in a worker process.
Severity E is what the standard forbids, W what it advises against or leaves to sites. Texts hold no values.
Source: HL7 v2.5.1 chapter 2 and appendix A, and the same of each version; spec/hl7.md section 4 for the choice of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from engine.core.errors import PeerError
from engine.hl7 import version_table as tables
from engine.hl7.acknowledgement import Problem
from engine.hl7.data_type import is_valid, length_limit
from engine.hl7.delimiter import Delimiters
from engine.hl7.grammar import check_structure
from engine.hl7.location import Location
from engine.hl7.message import HEADERS, Message, Segment
from engine.hl7.structure import infer_structure
from engine.hl7.version_table import UNBOUNDED, Node, Part

MOST_PROBLEMS: Final = 100
"""How many problems of one message are told."""

MOST_SEGMENTS: Final = 20_000
"""How many segments of one message are looked at: about two seconds."""

_VERSION: Final = re.compile(r"2\.\d(\.\d)?", re.ASCII)
_STRUCTURE: Final = "HL7-110"
_REQUIRED: Final = "HL7-111"
_VALUE: Final = "HL7-112"
_TABLE: Final = "HL7-113"
_LENGTH: Final = "HL7-114"
_CLOSED: Final = frozenset({"0001"})
"""Tables that the standard leaves to users and that a radiology sender must keep to all the same: sex."""
_OPEN: Final = frozenset({"0191", "0203", "0291", "0396", "0399"})
"""Tables of HL7 that sites extend, and those that list what others define."""
_MOMENT: Final = Part("DTM")


def validate_body(raw: bytes, default_charset: str | None = None) -> tuple[Problem, ...]:
    """Return the problems of a message, in order of their places; for worker processes.

    Args:
        raw: One message as received.
        default_charset: As for `Message.parse`.
    """
    try:
        return validate(Message.parse(raw, default_charset=default_charset))
    except PeerError as error:
        return (Problem.of(error),)


def validate(message: Message) -> tuple[Problem, ...]:
    """Return the problems of a message: first those of its structure, then of its fields, at most `MOST_PROBLEMS`."""
    found = list(islice(_Validation(message).problems(), MOST_PROBLEMS + 1))
    if len(found) > MOST_PROBLEMS:
        found[MOST_PROBLEMS] = Problem(_STRUCTURE, f"more than {MOST_PROBLEMS} problems", None, found[-1].severity)
    return tuple(found)


def as_warnings(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems as ones that refuse nothing."""
    return tuple(problem if problem.severity != "E" else replace(problem, severity="W") for problem in problems)


class _Validation:
    """One message under the tables of its version."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.delimiters: Delimiters = message.delimiters
        self.version = tables.table_version(message.version)

    def problems(self) -> Iterator[Problem]:
        """Give problems one by one."""
        message = self.message
        if _VERSION.fullmatch(message.version) is None:
            text = f"MSH-12 is not a version of HL7 v2; read as {self.version}"
            yield Problem(_TABLE, text, "MSH^1^12^1^1", "W")
        structure = self._structure()
        segments = message.segments[:MOST_SEGMENTS]
        if len(segments) < len(message.segments):
            yield Problem(_STRUCTURE, f"only the first {MOST_SEGMENTS} segments were looked at", None, "W")
        standard = [segment for segment in segments if segment.name and segment.name[0] != "Z"]
        if structure is None:
            yield Problem(_STRUCTURE, "MSH-9 names no known structure", "MSH^1^9", "W")
        else:
            stated = message.get("MSH-9.3")
            if stated and stated.strip() != structure.name:
                yield Problem(_TABLE, f"MSH-9.3 is not {structure.name}", "MSH^1^9^1^3", "W")
            yield from check_structure(structure, standard)
        for number, segment in enumerate(segments, start=1):
            if not segment.name:
                yield Problem(_STRUCTURE, f"line {number} is not a segment", None, "W")
        for segment in standard:
            yield from self._segment(segment)

    def _structure(self) -> Node | None:
        """Return the structure of the message: that of its version, else of the newest older one that has it."""
        message = self.message
        kind, trigger = message.type, message.trigger
        names = (infer_structure(kind, trigger), f"{kind}_{trigger}", kind, message.structure)
        older = tables.VERSIONS[: tables.VERSIONS.index(self.version) + 1]
        for name in dict.fromkeys(names):
            for version in reversed(older):
                found = tables.message_structure(version, name) if name else None
                if found is not None:
                    return found
        return None

    def _segment(self, segment: Segment) -> Iterator[Problem]:
        parts = tables.segment_fields(self.version, segment.name)
        if parts is None:
            where = Location(segment.name, segment.occurrence).erl
            yield Problem(_STRUCTURE, f"{segment.name} is not a segment of HL7 {self.version}", where, "W")
            return
        first = 3 if segment.name in HEADERS else 1
        for number in range(first, max(len(parts), segment.length) + 1):
            raw = segment.field(number) or ""
            if number > len(parts):
                if raw.strip():
                    place = Location(segment.name, segment.occurrence, number)
                    yield Problem(_STRUCTURE, f"{place.path} is not in HL7 {self.version}", place.erl, "W")
            elif raw or parts[number - 1].least:
                yield from self._field(segment, number, raw, parts[number - 1])

    def _field(self, segment: Segment, number: int, raw: str, part: Part) -> Iterator[Problem]:
        place = Location(segment.name, segment.occurrence, number)
        label = f"{segment.name}-{number}"
        if not raw.strip():
            if part.least:
                yield Problem(_REQUIRED, f"{label} is required", place.erl)
            return
        if part.is_withdrawn:
            yield Problem(_STRUCTURE, f"{label} is withdrawn in HL7 {self.version}", place.erl, "W")
            return
        repetitions = self.delimiters.repetitions(raw)
        if part.most != UNBOUNDED and len(repetitions) > part.most:
            extra = Location(segment.name, segment.occurrence, number, part.most + 1)
            times = "repeat" if part.most == 1 else f"come more than {part.most} times"
            yield Problem(_STRUCTURE, f"{label} must not {times}", extra.erl)
        if part.data_type.casefold() == "varies":
            part = Part(self._stated_type(segment))
        for index, repetition in enumerate(repetitions, start=1):
            if repetition:
                yield from self._value(repetition, part, Location(segment.name, segment.occurrence, number, index))

    def _stated_type(self, segment: Segment) -> str:
        """Return the data type that OBX-2 (MFE-5, QIP…) gives a field of any type; "" when it says nothing known."""
        stated = (segment.field(2) or "").strip() if segment.name == "OBX" else ""
        return stated if tables.knows_type(self.version, stated) else ""

    def _value(self, raw: str, part: Part, place: Location) -> Iterator[Problem]:
        """Check one repetition, component or subcomponent."""
        if self.delimiters.is_null(raw):
            return
        inner = tables.components(self.version, part.data_type) if place.subcomponent is None else ()
        if not inner:
            yield from self._primitive(raw, part, place)
            return
        separated = self._separated(raw, place)
        for index, (text, component) in enumerate(zip(_filled(separated, len(inner)), inner, strict=True), start=1):
            where = _deeper(place, index)
            if text and component.is_withdrawn:
                yield Problem(_STRUCTURE, f"{_label(where)} is withdrawn in HL7 {self.version}", where.erl, "W")
            elif text:
                # versions before 2.5 call the time of a TS a string
                yield from self._value(text, _MOMENT if part.data_type == "TS" and index == 1 else component, where)
            elif component.least:
                yield Problem(_REQUIRED, f"{_label(where)} is required", where.erl)
        if any(part.strip() for part in separated[len(inner) :]):
            where = _deeper(place, len(inner) + 1)
            yield Problem(_STRUCTURE, f"{_label(where)} is not in HL7 {self.version}", where.erl, "W")

    def _separated(self, raw: str, place: Location) -> list[str]:
        return self.delimiters.components(raw) if place.component is None else self.delimiters.subcomponents(raw)

    def _primitive(self, raw: str, part: Part, place: Location) -> Iterator[Problem]:
        pieces = [] if place.subcomponent is not None or part.data_type in ("TX", "FT", "") else self._pieces(raw)
        if len(pieces) > 1 and any(pieces[1:]):
            yield Problem(_VALUE, f"{_label(place)} is a {part.data_type}, which has no components", place.erl, "W")
        text = self.delimiters.unescape(pieces[0] if pieces else raw).strip()
        if not text or self.delimiters.is_null(text):
            return
        if not is_valid(text, part.data_type):
            yield Problem(_VALUE, f"{_label(place)} is not a {part.data_type}", place.erl)
        limit = length_limit(part.data_type, self.version)
        if limit is not None and len(text) > limit:
            yield Problem(_LENGTH, f"{_label(place)} is longer than {limit}", place.erl)
        if part.table and part.data_type in ("ID", "IS"):
            yield from self._in_table(text, part, place)

    def _pieces(self, raw: str) -> list[str]:
        return [piece for part in self.delimiters.components(raw) for piece in self.delimiters.subcomponents(part)]

    def _in_table(self, text: str, part: Part, place: Location) -> Iterator[Problem]:
        values = tables.table_values(self.version, part.table)
        if len(values) < 2 or text in values:  # a list of one is a placeholder of the tables
            return
        is_closed = (part.data_type == "ID" and part.table not in _OPEN) or part.table in _CLOSED
        yield Problem(_TABLE, f"{_label(place)} is not in table {part.table}", place.erl, "E" if is_closed else "W")


def _filled(pieces: list[str], count: int) -> list[str]:
    """Return the first `count` pieces; those that were left out are empty."""
    return pieces[:count] + [""] * (count - len(pieces))


def _deeper(place: Location, number: int) -> Location:
    return replace(place, component=number) if place.component is None else replace(place, subcomponent=number)


def _label(place: Location) -> str:
    """Return a place as people write it, without the numbers that go without saying."""
    return Location(place.segment, place.occurrence, place.field, None, place.component, place.subcomponent).path
