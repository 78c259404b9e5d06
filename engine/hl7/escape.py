r"""Escape sequences: `\F\`, `\.br\`, `\X0D\` and the rest, read and written in one pass.

Reading forgives: what is not a sequence stays as it stands (Windows paths are common). Writing is strict.
Line breaks are `\n` in our text, whatever the sender wrote.
Source: HL7 v2.5.1 chapter 2.7; v2.8 chapter 2.7 for `\P\`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAX_LAYOUT: Final = 99
"""Most breaks or spaces that one layout command may ask for."""

_LAYOUT = re.compile(r"\.(br|sp|in|ti|sk|ce|fi|nf)\s*([+-]?)(\d{0,4})", re.IGNORECASE | re.ASCII)
_SWITCHES: Final = frozenset("CM")
_UPPER_HALVES: Final = {
    "2D41": "iso8859_1",
    "2D42": "iso8859_2",
    "2D43": "iso8859_3",
    "2D44": "iso8859_4",
    "2D4C": "iso8859_5",
    "2D47": "iso8859_6",
    "2D46": "iso8859_7",
    "2D48": "iso8859_8",
    "2D4D": "iso8859_9",
    "2949": "shift_jis",
    "242943": "euc_kr",
}
"""Sets that a designation puts into G1, bytes A0 to FF, by the codec that reads those."""
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_LINE_BREAKS = re.compile(r"\r\n?")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def unescape(raw: str, escape: str, letters: Mapping[str, str], charset: str) -> str:
    """Return the text that `raw` stands for.

    Args:
        raw: Part of a field, delimiters of higher levels already split off.
        escape: The message's escape character.
        letters: What `F`, `S`, `T`, `R`, `E`, `P` and the dropped commands stand for.
        charset: Python codec in which hexadecimal sequences are read.

    Unknown, unterminated and lone escape characters stay; a doubled one is one.
    """
    parts = raw.split(escape)
    last = len(parts) - 1
    out = [parts[0]]
    designation = ""
    i = 1
    while i <= last:
        token = parts[i]
        value = _value_of(token, escape, letters, charset) if i < last else None
        if value is None:
            out.append(escape)
            out.append(token)
            i += 1
        else:
            if token[:1] in _SWITCHES and token[1:]:
                designation = token[1:]
            out.append(value)
            out.append(_switched(designation, parts[i + 1], charset) if designation else parts[i + 1])
            i += 2
    return "".join(out)


def _value_of(token: str, escape: str, letters: Mapping[str, str], charset: str) -> str | None:
    """Return what one sequence stands for, or None when it is none."""
    if not token:
        return escape
    known = letters.get(token)
    if known is not None:
        return known
    head = token[0]
    if head == "X":
        return _hex_text(token[1:], charset)
    if head == ".":
        return _layout(token)
    if head == "Z":
        return ""
    if head in _SWITCHES and len(token) in {5, 7} and _HEX.fullmatch(token, 1):
        return ""
    return None


def _hex_text(digits: str, charset: str) -> str | None:
    if not _HEX.fullmatch(digits):
        return None
    try:
        text = bytes.fromhex(digits).decode(charset)
    except UnicodeDecodeError:
        return None
    return _LINE_BREAKS.sub("\n", text)


def _layout(token: str) -> str | None:
    found = _LAYOUT.fullmatch(token)
    if found is None:
        return None
    command = found[1].lower()
    count = min(int(found[3] or "1"), MAX_LAYOUT)
    if command in {"br", "sp"}:
        return "\n" * count
    if command == "ce":
        return "\n"
    if command in {"sk", "ti"} and found[2] != "-":
        return " " * count
    return ""


def _switched(designation: str, text: str, charset: str) -> str:
    r"""Read text behind `\Cxxyy\` or `\Mxxyyzz\`: an ISO 2022 designation in hexadecimal, ESC left out.

    It holds until the next one. What cannot be read in that set stays as the message's own set has it.
    Source: HL7 v2.5.1 chapter 2.7.3; the sets are those of table 0211.
    """
    upper = _UPPER_HALVES.get(designation.upper())
    escaped = b"\x1b" + bytes.fromhex(designation)
    try:
        if upper is not None:
            return text.encode(charset).decode(upper)
        if designation[:4].upper() == "2849":
            return (escaped + text.encode("ascii")).decode("iso2022_jp_ext")
        return (escaped + text.encode("ascii")).decode("iso2022_jp_2")
    except UnicodeError:
        return text


def escape_text(text: str, escape: str, special: re.Pattern[str], sequences: Mapping[str, str]) -> str:
    r"""Return `text` as it may stand in a message.

    Args:
        text: Any text; `\r\n`, `\r` and `\n` are one line break each.
        escape: The message's escape character.
        special: Matches every character that must be written as a sequence.
        sequences: The sequence of each delimiter and of the line break.
    """
    if special.search(text) is None:
        return text
    if "\r" in text:
        text = _LINE_BREAKS.sub("\n", text)
    return special.sub(lambda found: sequences.get(found[0]) or f"{escape}X{ord(found[0]):02X}{escape}", text)


def special_characters(delimiters: str) -> re.Pattern[str]:
    """Return the pattern of what must never stand raw in a value: delimiters and control characters except TAB."""
    return re.compile(f"[{re.escape(delimiters)}{_UNSAFE.pattern[1:-1]}]")
