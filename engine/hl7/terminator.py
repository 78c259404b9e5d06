"""Where segments end. The standard says CR; most files in the world say something else.

Source: HL7 v2.5.1 chapter 2.5.4 (segment terminator); deviations as in spec/hl7.md section 3.
"""

from __future__ import annotations

import re
from typing import Final

BLANK: Final = " \t\r\n\0\v\x1c\ufeff"
"""What may stand around a segment without meaning anything; MLLP's own bytes and a byte order mark included."""
BLANK_BYTES: Final = b" \t\r\n\0\v\x1c"
_SEGMENT_START: Final = re.compile(r"[ \t\0]*[A-Za-z][A-Za-z0-9]{2}(?:[^A-Za-z0-9\s]|\s*$)")


def cut_lines(text: str) -> list[str]:
    """Return the segments of a text: CR, LF, CRLF and mixtures end one, blank lines are nothing.

    Where a message has CRs as well, an LF that no segment follows is a line break inside the field before it.
    """
    if "\n" not in text:
        pieces = text.split("\r")
    elif "\r" not in text:
        pieces = text.split("\n")
    else:
        pieces = []
        for piece in text.replace("\r\n", "\r").split("\r"):
            if "\n" in piece:
                pieces.extend(_rejoined(piece.split("\n")))
            else:
                pieces.append(piece)
    return [line for line in [piece.strip(BLANK) for piece in pieces] if line]


def _rejoined(pieces: list[str]) -> list[str]:
    """Join to each piece those that follow it and do not start a segment."""
    lines: list[str] = []
    pending: list[str] = []
    for piece in pieces:
        if pending and _SEGMENT_START.match(piece):
            lines.append("\n".join(pending))
            pending = []
        pending.append(piece)
    lines.append("\n".join(pending))
    return lines
