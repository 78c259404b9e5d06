"""The answer to an order: ORR^O02, ORG^O20 or ORI^O24, an ORC for each group that there is something to say about.

Source: HL7 v2.5.1 chapter 4.4.2, 4.4.5, 4.4.11 (structures), 4.5.1.1 (order control codes and their answers), 4.5.1.6
(ORC-6 response flag); table 0119.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.hl7.acknowledgement import Response
from engine.hl7.message import Message, Segment

TYPES = {"ORM": "ORR^O02^ORR_O02", "OMG": "ORG^O20^ORG_O20", "OMI": "ORI^O24^ORI_O24"}
"""MSH-9.1 of an order message → MSH-9 of its answer."""

_CODES = {
    "NW": ("OK", "UA"),
    "SN": ("NA", "UA"),
    "RP": ("RQ", "UM"),
    "RO": ("RO", "UM"),
    "PA": ("PA", "UA"),
    "CH": ("CH", "UA"),
    "XO": ("XR", "UX"),
    "CA": ("CR", "UC"),
    "DC": ("DR", "UD"),
    "HD": ("HR", "UH"),
    "RL": ("OR", "UR"),
    "SS": ("SR", "DE"),
}
"""ORC-1 → (done as requested, unable to). What only tells something is accepted (OK), or has errors (DE)."""
_TELLS = ("OK", "DE")

_RELATED = frozenset({"RP", "RU", "RO", "PA", "CH", "SS", "SN"})
_SHOWS_RELATED = frozenset({"R", "D", "F"})
_SHOWS_DETAIL = frozenset({"D", "F"})
_ECHOED = frozenset({"TQ1", "OBR", "IPC"})
_ORC_1_TO_5 = 6
_ACCESSION = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAnswer:
    """What became of one order group."""

    segments: Sequence[Segment]
    """Those of the group."""
    control: str
    """ORC-1 as received; NW when there is none."""
    done: bool
    status: str = ""
    """ORC-5 as the order stands now."""
    filler_number: str = ""
    """The number that we gave the order, when it came without one."""
    accession_number: str = ""
    """As `filler_number`."""


def order_response(message: Message, groups: Sequence[GroupAnswer], *, always: bool) -> Response | None:
    """Return the answer; None when a plain ACK says all that was asked for.

    Args:
        message: The order message.
        groups: What became of its groups, in their order.
        always: Whether the sender wants one for every order, whatever ORC-6 says.

    ORC-6: E only errors, R also replaced orders and children, D also the order's other segments, F also confirmations,
    N nothing. An order that was given a number is answered unless the flag is N.
    """
    kind = TYPES.get(message.type)
    if kind is None:
        return None
    flag = next((found for group in groups if (found := _flag(group))), "")
    shown = [group for group in groups if _is_shown(group, _flag(group) or flag, always=always)]
    if not shown:
        return None
    separator = message.delimiters.field_separator
    segments: list[str] = []
    for group in shown:
        segments.append(_orc(group, separator, message))
        if (always and not flag) or (_flag(group) or flag) in _SHOWS_DETAIL:
            segments.extend(_echo(segment, group, separator, message) for segment in group.segments)
    patient = message.first("PID")
    if patient is not None and any(not segment.startswith("ORC") for segment in segments):
        segments.insert(0, _line(patient.text))
    return Response(kind, tuple(segment for segment in segments if segment))


def _segment(group: GroupAnswer, name: str) -> Segment | None:
    return next((segment for segment in group.segments if segment.name == name), None)


def _flag(group: GroupAnswer) -> str:
    orc = _segment(group, "ORC")
    return (orc.field(6) or "").strip().upper() if orc is not None else ""


def _is_shown(group: GroupAnswer, flag: str, *, always: bool) -> bool:
    if flag == "N":
        return False
    if always or (group.filler_number and group.done):
        return True
    if not flag:
        return group.control in ("SN", "SS")
    return not group.done or flag == "F" or (flag in _SHOWS_RELATED and group.control in _RELATED)


def _orc(group: GroupAnswer, separator: str, message: Message) -> str:
    """Return ORC-1 to ORC-5 and the parent; numbers as the sender wrote them."""
    orc, obr = _segment(group, "ORC"), _segment(group, "OBR")
    done, unable = _CODES.get(group.control, _TELLS)
    fields = [""] * _ORC_1_TO_5
    fields[0], fields[1] = "ORC", done if group.done else unable
    fields[2] = _stated(orc, obr, 2)
    fields[3] = _stated(orc, obr, 3) or message.delimiters.escape(group.filler_number)
    fields[4] = (orc.field(4) or "") if orc is not None else ""
    fields[5] = group.status
    parent = (orc.field(8) or "") if orc is not None else ""
    return separator.join([*fields, "", "", parent]).rstrip(separator)


def _stated(orc: Segment | None, obr: Segment | None, number: int) -> str:
    return ((orc.field(number) if orc is not None else "") or (obr.field(number) if obr is not None else "")) or ""


def _echo(segment: Segment, group: GroupAnswer, separator: str, message: Message) -> str:
    """Return another segment of the group as it came, with the numbers that it lacked."""
    if segment.name not in _ECHOED:
        return ""
    if segment.name != "OBR" or not group.done:
        return _line(segment.text)
    fields = list(segment.fields)
    has_ipc = _segment(group, "IPC") is not None
    for number, value in ((3, group.filler_number), (_ACCESSION, "" if has_ipc else group.accession_number)):
        if value:
            fields += [""] * (number + 1 - len(fields))
            fields[number] = fields[number] or message.delimiters.escape(value)
    return _line(separator.join(fields))


def _line(text: str) -> str:
    """Return a segment that stays one: a line feed in it is data of a sender who does not escape."""
    return text.replace("\n", " ")
