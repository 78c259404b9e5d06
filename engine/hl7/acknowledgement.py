"""Acknowledgements: which ones a sender wants, writing ours, reading theirs.

Source: HL7 v2.5.1 chapter 2.9.2 (original mode), 2.9.3 (enhanced mode), 2.15.5 (ERR), 2.15.8 (MSA); tables 0008, 0155,
0357.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from engine.core.errors import EngineError
from engine.core.outcomes import outcome_of
from engine.hl7.charset import codecs_of
from engine.hl7.delimiter import DEFAULT_DELIMITERS, NULL, Delimiters
from engine.hl7.errors import NoAcknowledgement
from engine.hl7.location import Location, parse_erl
from engine.hl7.message import Message, Segment
from engine.hl7.version import DEFAULT_VERSION, is_at_least, version_tuple

Severity = Literal["E", "W", "I"]

TEXT_LIMIT: Final = 80
"""Characters of MSA-3."""
POSITIVE: Final = frozenset({"AA", "CA"})
ACCEPT_CODES: Final = frozenset({"CA", "CE", "CR"})
APPLICATION: Final = "ISTHMUS"

_TABLE_0357: Final = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell the sender. `where` is an ERL such as `PID^1^3`; anything else is not sent as a place."""

    code: str
    text: str
    where: str | None = None
    severity: Severity = "E"

    @classmethod
    def of(cls, error: EngineError) -> Problem:
        """Return the problem that an error of ours describes."""
        return cls(error.code, error.text, error.where)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers a sender asked for."""

    accept: bool
    """An accept acknowledgement (CA, CE, CR) as soon as the message is stored."""
    application: bool
    """An application acknowledgement (AA, AE, AR)."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with content: its MSH-9, such as `ORR^O02^ORR_O02`, and the segments behind MSA and ERR."""

    type: str
    segments: tuple[str, ...]
    """With the delimiters of the message that is answered."""


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement that a peer gave us."""

    code: str
    """MSA-1: AA, AE, AR, CA, CE or CR."""
    control_id: str
    """MSA-2: the control id of the message it answers."""
    text: str = ""
    """MSA-3, else the user message of the first ERR. May hold whatever the peer likes: never log it."""
    problem_codes: tuple[int, ...] = ()
    """Codes of table 0357, in order."""
    raw: bytes = b""

    @property
    def is_positive(self) -> bool:
        """Whether the peer took the message."""
        return self.code in POSITIVE


def answers_wanted(msh_15: str | None, msh_16: str | None, *, ok: bool, blank: Literal["NE", "AL"] = "NE") -> Wanted:
    """Return which acknowledgements a message asks for.

    Args:
        msh_15: Accept acknowledgement type, table 0155.
        msh_16: Application acknowledgement type, table 0155.
        ok: Whether the message was taken.
        blank: What one of the two means when it is left blank while the other is valued.

    Both blank is original mode: always an application acknowledgement, never an accept one. Unknown codes mean AL.
    """
    conditions = ["" if c is None or c.strip() == NULL else c.strip().upper() for c in (msh_15, msh_16)]
    if not any(conditions):
        return Wanted(accept=False, application=True)
    accept, application = (_is_asked(condition or blank, ok=ok) for condition in conditions)
    return Wanted(accept, application)


def _is_asked(condition: str, *, ok: bool) -> bool:
    return {"NE": False, "ER": not ok, "SU": ok}.get(condition, True)


def is_acknowledgement(message: Message) -> bool:
    """Say whether a message is an acknowledgement, which is never acknowledged itself."""
    if message.type == "ACK":
        return True
    msa = message.first("MSA")
    return msa is not None and (msa.field(1) or "").strip().upper() in ACCEPT_CODES


def ack_code(problems: Iterable[Problem], *, accept: bool = False) -> str:
    """Return MSA-1 for what is to be said: a rejection outweighs an error, warnings leave it positive."""
    codes = []
    for problem in problems:
        if problem.severity == "E":
            outcome = outcome_of(problem.code)
            codes.append((outcome.accept_ack or "CR") if accept else (outcome.ack or "AR"))
    if not codes:
        return "CA" if accept else "AA"
    return max(codes, key=lambda code: code.endswith("R"))


def build_ack(
    message: Message | None,
    problems: Sequence[Problem] = (),
    *,
    control_id: str,
    time: str,
    accept: bool = False,
    text: str = "",
    response: Response | None = None,
) -> bytes:
    """Return an acknowledgement, every segment ended by CR.

    Args:
        message: What is answered; the view of `message.read_head` when the rest cannot be read, None when nothing can.
        problems: What is wrong or worth knowing; their severities and codes decide MSA-1.
        control_id: MSH-10 of the answer.
        time: MSH-7 of the answer, HL7 TS text.
        accept: Whether this is the accept acknowledgement of enhanced mode.
        text: MSA-3 when there is no problem to name.
        response: What follows the acknowledgement, and the message that both are; None for a plain ACK.

    From version 2.5 there is an ERR for each problem; before, code and text stand in MSA-3 and the places in ERR-1.
    """
    delimiters = message.delimiters if message else DEFAULT_DELIMITERS
    head = message.segments[0] if message else None
    version = (message.version if message else "2.5") or DEFAULT_VERSION
    if problems:
        text = f"{problems[0].code}: {problems[0].text}"
    separator = delimiters.field_separator
    msa = ["MSA", ack_code(problems, accept=accept), _field(head, 10), delimiters.escape(text[:TEXT_LIMIT])]
    segments = [
        _head(head, delimiters, version, control_id, time, _kind(message, version, response)),
        separator.join(msa).rstrip(separator),
    ]
    if is_at_least(version, (2, 5)):
        segments += [separator.join(_err(problem, delimiters)) for problem in problems]
    elif problems:
        places = delimiters.repetition_separator.join(_err_1(problem, delimiters) for problem in problems)
        segments.append(f"ERR{separator}{places}")
    if response is not None:
        segments += response.segments
    return _encoded("".join(f"{segment}\r" for segment in segments), message)


def _kind(message: Message | None, version: str, response: Response | None) -> str:
    """Return MSH-9: the structure stands in it from 2.3.1 on, the trigger event from 2.2 on."""
    delimiters = message.delimiters if message else DEFAULT_DELIMITERS
    component = delimiters.component_separator
    if response is not None:
        parts = response.type.split("^")
        return component.join(parts if version_tuple(version) >= (2, 3, 1) else parts[:2])
    trigger = delimiters.escape(message.trigger) if message else ""
    if version_tuple(version) >= (2, 3, 1):
        return f"ACK{component}{trigger}{component}ACK" if trigger else "ACK"
    return f"ACK{component}{trigger}" if trigger and is_at_least(version, (2, 2)) else "ACK"


def _head(head: Segment | None, delimiters: Delimiters, version: str, control_id: str, time: str, kind: str) -> str:
    component, separator = delimiters.component_separator, delimiters.field_separator
    # A short MSH-2 was filled from the defaults; ours says what we write with.
    encoding = component + delimiters.repetition_separator + delimiters.escape_character
    encoding += delimiters.subcomponent_separator + delimiters.truncation_character
    fields = [
        f"MSH{separator}{encoding}",
        _field(head, 5) or APPLICATION,
        _field(head, 6),
        _field(head, 3),
        _field(head, 4),
        time,
        "",
        kind,
        delimiters.escape(control_id),
        _field(head, 11) or "P",
        _field(head, 12) or version,
        *[""] * 5,
        _field(head, 18),
    ]
    return separator.join(fields).rstrip(separator)


def _field(head: Segment | None, number: int) -> str:
    """Return a field of the sender verbatim: the answer has the same delimiters."""
    return (head.field(number) or "") if head else ""


def _place(problem: Problem) -> Location | None:
    return parse_erl(problem.where) if problem.where else None


def _hl7_code(problem: Problem) -> int:
    if problem.severity != "E":
        return 0
    code = outcome_of(problem.code).hl7
    return 207 if code is None else code


def _err(problem: Problem, delimiters: Delimiters) -> list[str]:
    """Return ERR as of 2.5: ERR-2 place, ERR-3 table 0357, ERR-4 severity, ERR-5 our code, ERR-8 text."""
    component, escape = delimiters.component_separator, delimiters.escape
    place = _place(problem)
    code = _hl7_code(problem)
    where = place.erl.replace("^", component) if place else ""
    text = escape(problem.text)
    standard = component.join((str(code), _TABLE_0357[code], "HL70357"))
    ours = component.join((escape(problem.code), text, "L"))
    return ["ERR", "", where, standard, problem.severity, ours, "", "", text]


def _err_1(problem: Problem, delimiters: Delimiters) -> str:
    """Return ERR-1 as before 2.5: segment ^ occurrence ^ field ^ code & text & table."""
    place = _place(problem)
    code = _hl7_code(problem)
    parts = [place.segment, str(place.occurrence), str(place.field or "")] if place else ["", "", ""]
    parts.append(delimiters.subcomponent_separator.join((str(code), _TABLE_0357[code], "HL70357")))
    return delimiters.component_separator.join(parts)


def _encoded(text: str, message: Message | None) -> bytes:
    """Return bytes in the set the sender declared, else in the one that read its message."""
    if text.isascii() or message is None:
        return text.encode()
    declared = message.declared_charset.partition(message.delimiters.repetition_separator)[0]
    for codec in (*codecs_of(declared)[:1], message.charset):
        try:
            return text.encode("latin_1" if message.charset == "latin_1" else codec)
        except UnicodeEncodeError:
            continue
    return text.encode(message.charset, "replace")


def read_ack(raw: bytes) -> Ack:
    """Return what a peer answered.

    Raises:
        NotAMessage: HL7-101.
        UndecodableBytes: HL7-102.
        NoAcknowledgement: HL7-110, there is no MSA or MSA-1 is not of table 0008.
    """
    message = Message.parse(raw)
    msa = message.first("MSA")
    code = (msa.field(1) or "").strip().upper() if msa else ""
    if msa is None or code not in {"AA", "AE", "AR", "CA", "CE", "CR"}:
        raise NoAcknowledgement
    unescape = message.delimiters.unescape
    text = unescape(msa.field(3) or "")
    if not text:
        text = message.get("ERR-8") or ""
    return Ack(code, unescape(msa.field(2) or "").strip(), text, tuple(_problem_codes(message)), raw)


def _problem_codes(message: Message) -> Iterable[int]:
    delimiters = message.delimiters
    for err in message.named("ERR"):
        coded = [err.field(3) or ""]
        coded += [delimiters.component(place, 4) or "" for place in delimiters.repetitions(err.field(1) or "")]
        stated = [delimiters.subcomponents(delimiters.components(raw)[0])[0] for raw in coded]
        yield from (int(code) for code in map(str.strip, stated) if code.isdecimal() and len(code) < 6)
    condition = message.get("MSA-6.1") or ""
    if condition.isdecimal() and len(condition) < 6:
        yield int(condition)
