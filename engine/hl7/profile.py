"""A message profile: what one sender's messages must look like beyond the standard, checked on the lazy view.

It costs microseconds, so it runs where messages are read.
Source: the idea, not the format, of HL7 v2.5.1 chapter 2B (conformance using message profiles).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from engine.hl7.acknowledgement import Problem, Severity
from engine.hl7.delimiter import Delimiters
from engine.hl7.location import Location
from engine.hl7.message import HEADERS, Message, Segment

MOST_PROBLEMS: Final = 100
"""How many problems of one message are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a profile asks of one place; a place without numbers means every segment, and every repetition, of it."""

    place: Location
    least: int = 0
    """Segments of a name, or values of a field in each of its segments."""
    most: int | None = None
    least_length: int = 0
    most_length: int | None = None
    """Characters of the unescaped value."""
    values: frozenset[str] | None = None
    """What the value may be, without regard to case; None leaves it open."""
    table: str = ""
    """Where `values` come from."""
    severity: Severity = "E"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What stands in one file `routes/*.profile.yaml`."""

    name: str
    demands: tuple[Demand, ...]
    standard: bool = True
    """Whether the tables of the message's version are consulted as well."""

    def check(self, message: Message) -> tuple[Problem, ...]:
        """Return where a message is not what the profile asks for, in order of its rules."""
        found: list[Problem] = []
        for demand in self.demands:
            found.extend(_problems(demand, message))
            if len(found) > MOST_PROBLEMS:
                del found[MOST_PROBLEMS:]
                found.append(Problem("HL7-110", f"more than {MOST_PROBLEMS} problems", None, demand.severity))
                break
        return tuple(found)


def _problems(demand: Demand, message: Message) -> Iterator[Problem]:
    place = demand.place
    segments = message.named(place.segment)
    if place.field is None:
        yield from _segments(demand, segments)
        return
    for segment in segments:
        yield from _field(demand, segment, message.delimiters)


def _segments(demand: Demand, segments: list[Segment]) -> Iterator[Problem]:
    name = demand.place.segment
    if len(segments) < demand.least:
        text = f"{name} is required" if not segments else f"{name} must come at least {demand.least} times"
        yield Problem("HL7-110", text, Location(name, len(segments) + 1).erl, demand.severity)
    if demand.most is not None and len(segments) > demand.most:
        text = f"{name} must not come more than {demand.most} times" if demand.most else f"{name} is not taken here"
        yield Problem("HL7-110", text, Location(name, demand.most + 1).erl, demand.severity)


def _field(demand: Demand, segment: Segment, delimiters: Delimiters) -> Iterator[Problem]:
    place = demand.place
    number = place.field or 0
    raw = segment.field(number) or ""
    is_delimiter = segment.name in HEADERS and number <= 2
    repetitions = [raw] if is_delimiter else delimiters.repetitions(raw)
    count = 0
    for index, repetition in enumerate(repetitions, start=1):
        text = repetition if is_delimiter else _text(repetition, place, delimiters)
        if text:
            count += 1
            where = Location(segment.name, segment.occurrence, number, index, place.component, place.subcomponent)
            yield from _value(demand, text, where)
        elif demand.least and index > 1 and place.component is not None and repetition:
            where = Location(segment.name, segment.occurrence, number, index, place.component, place.subcomponent)
            yield Problem("HL7-111", f"{_label(where)} is required", where.erl, demand.severity)
    yield from _count(demand, segment, count, len(repetitions))


def _count(demand: Demand, segment: Segment, count: int, repetitions: int) -> Iterator[Problem]:
    place = demand.place
    if count < demand.least:
        where = Location(segment.name, segment.occurrence, place.field, None, place.component, place.subcomponent)
        text = "is required" if not count else f"must come at least {demand.least} times"
        yield Problem("HL7-111" if not count else "HL7-110", f"{_label(where)} {text}", where.erl, demand.severity)
    if demand.most is not None and repetitions > demand.most:
        where = Location(segment.name, segment.occurrence, place.field, demand.most + 1)
        text = f"must not come more than {demand.most} times" if demand.most else "must be empty"
        yield Problem("HL7-110", f"{_label(where)} {text}", where.erl, demand.severity)


def _text(raw: str, place: Location, delimiters: Delimiters) -> str:
    """Return the unescaped value that a demand is about, of a field the whole; an explicit null counts as none."""
    piece: str | None = raw
    if place.component is not None:
        piece = delimiters.component(raw, place.component)
        if piece is not None and place.subcomponent is not None:
            piece = delimiters.subcomponent(piece, place.subcomponent)
    if not piece or delimiters.is_null(piece):
        return ""
    return delimiters.unescape(piece).strip()


def _value(demand: Demand, text: str, where: Location) -> Iterator[Problem]:
    label = _label(where)
    if len(text) < demand.least_length:
        yield Problem("HL7-112", f"{label} is shorter than {demand.least_length}", where.erl, demand.severity)
    if demand.most_length is not None and len(text) > demand.most_length:
        yield Problem("HL7-114", f"{label} is longer than {demand.most_length}", where.erl, demand.severity)
    if demand.values is not None and text.casefold() not in demand.values:
        among = f"table '{demand.table}'" if demand.table else "the profile's values"
        yield Problem("HL7-113", f"{label} is not in {among}", where.erl, demand.severity)


def _label(place: Location) -> str:
    return Location(place.segment, place.occurrence, place.field, None, place.component, place.subcomponent).path
