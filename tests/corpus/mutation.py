"""Spoils messages, so that a fuzz test can send them: the same seed spoils the same way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

MOST_CHANGES: Final = 6
MOST_BYTES: Final = 64 * 1024
"""Longest message that comes out, whatever was repeated."""
_SPARED: Final = 0.75

_HOSTILE: Final = (
    *(bytes([b]) for b in b'\0\t\n\v\r\x1b\x1c "#&+.0^|~\\\x7f\x80\xc3\xe9\xff'),
    *(b"\r\n", b"\n\n", b'""', b"MSH", b"\rMSH|^~\\&|", b"\rMSH|", b"BHS|^~\\&|\r", b"\rBTS|-1\r", b"FTS|9999999999\r"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b$B", b"\x1b(B", b"\x1b$(D0!", b"\x0b", b"\x1c\r", b"\x1c"),
    *(b"\\F\\", b"\\E\\T\\E\\", b"\\.br\\", b"\\.sp9999\\", b"\\.in-5\\", b"\\X0D0A\\", b"\\XZZ\\", b"\\X", b"\\XFF\\"),
    *(b"\\M2442\\", b"\\M242844\\0!", b"\\C2842\\", b"\\C2D41\\\xe9", b"\\C", b"\\H\\", b"\\Zx\\", b"\\\\srv\\a"),
    *(b"1" * 70, b"-1", b"99999999999999999999", b"20269999", b"2026021", b"20260230", b"+2500", b"19000101", b"0000"),
    *(b"|||||", b"^^^^^", b"&&&&&", b"~~~~~", b"||UNICODE UTF-16", b"|8859/1", b"|ISO IR87", b"|GB 18030-2000"),
    *(b"\rORC|NW|", b"\rORC|CA||||CA", b"\rORC|RP|1\rORC|RO|1", b"\rOBR|1|", b"\rZDS|1.2.03^^A", b"\rIPC|A|B|1.2|C|CT"),
    *(b"\rMRG|1", b"\rPID|1||1^^^A", b"\rTXA|1", b"\rSCH|1", b"\rOBX|1|ED|1||^^^Base64^A", b"\rADD|x", b"\rDSC|x"),
)  # fmt: skip
_SETS: Final = (
    b"8859/1", b"8859/15", b"UNICODE UTF-8", b"ISO IR87", b"ISO IR14", b"GB 18030-2000", b"KS X 1001", b"BIG-5",
    b"ASCII", b"CNS 11643-1992", b"8859/1~ISO IR87", b"", b'""',
)  # fmt: skip
_EVENTS: Final = (
    b"ORM^O01", b"OMG^O19", b"OMI^O23^OMI_O23", b"ADT^A08", b"ADT^A40", b"ADT^A47", b"ADT^A03", b"ORU^R01", b"MDM^T02",
    b"MDM^T11", b"SIU^S12", b"SIU^S15", b"ORM", b"ACK^O01", b"", b"^", b"adt^a01", b"\\F\\",
)  # fmt: skip


def spoiled(messages: Sequence[bytes], dice: random.Random) -> bytes:
    """Return one of `messages` after a few changes; the delimiters of most stay, or few would be read at all."""
    body = dice.choice(messages)
    spared = len(b"MSH|^~\\&|") if dice.random() < _SPARED else 0
    head, body = body[:spared], body[spared:]
    for _ in range(dice.randint(1, MOST_CHANGES)):
        body = dice.choice(_CHANGES)(body, messages, dice)[:MOST_BYTES]
    return head + body


def _flip(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    if not body:
        return b"\0"
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << dice.randrange(8)]) + body[at + 1 :]


def _insert(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    at = dice.randint(0, len(body))
    return body[:at] + dice.choice(_HOSTILE) + body[at:]


def _overwrite(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    at, with_what = dice.randint(0, len(body)), dice.choice(_HOSTILE)
    return body[:at] + with_what + body[at + len(with_what) :]


def _cut(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    begin, end = _span(body, dice)
    return body[:begin] + body[end:]


def _cut_short(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    return body[: dice.randint(0, len(body))]


def _repeat(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    begin, end = _span(body, dice)
    times = dice.choice((1, 2, 10, 500))
    return body[:end] + body[begin:end] * times + body[end:]


def _splice(body: bytes, messages: Sequence[bytes], dice: random.Random) -> bytes:
    other = dice.choice(messages)
    return body[: dice.randint(0, len(body))] + other[dice.randint(0, len(other)) :]


def _swap_delimiter(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    one, other = dice.sample((b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"#", b"$"), 2)
    return body.replace(one, other, dice.choice((1, 5, -1)))


def _segments(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    """Drop, double, move or rename a segment."""
    lines = body.splitlines(keepends=True) or [b""]
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines.insert(other, lines.pop(one))
        case _:
            lines[one] = dice.choice((b"ZZZ", b"zds", b"ORC", b"PID", b"OBX", b"??")) + lines[one][3:]
    return b"".join(lines)


def _field(body: bytes, _: Sequence[bytes], dice: random.Random) -> bytes:
    """Empty, blow up or replace one field; of MSH most often type, control id, mode or charset."""
    fields = body.split(b"|")
    at = dice.choice((1, 8, 9, 10, 11, 14, 15, 17, *range(len(fields))))
    if at < len(fields):
        fields[at] = dice.choice((b"", b'""', fields[at] * 50, dice.choice(_SETS), dice.choice(_EVENTS), b"A^B&C~D"))
    return b"|".join(fields)


def _span(body: bytes, dice: random.Random) -> tuple[int, int]:
    begin = dice.randint(0, len(body))
    return begin, min(len(body), begin + dice.choice((1, 3, 20, 200)))


_CHANGES: Final[tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...]] = (
    _flip, _insert, _insert, _overwrite, _cut, _cut_short, _repeat, _splice, _swap_delimiter, _segments, _field, _field,
)  # fmt: skip
