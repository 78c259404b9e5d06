"""Specific Character Set: from the bytes of a text value to characters, and back.

Decoding never fails: a value that is not what it says is shown with replacement characters. Encoding does: an answer
to a modality must not hold a `?` where nobody decided so.
Source: DICOM PS3.3 C.12.1.1.2, PS3.5 chapter 6.1.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

CharacterSets = tuple[str, ...]
"""The values of (0008,0005); () and ("",) are the default repertoire."""

UTF_8: Final = ("ISO_IR 192",)
TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs that Specific Character Set governs; all others are ASCII."""

_LAID_OUT: Final = frozenset({"LT", "ST", "UT", "UC", "UR"})
_NUMBER: Final = re.compile(r"ISO[-_ ]?(?:2022[-_ ])?IR[-_ ]?(\d+)", re.IGNORECASE)
_BY_NAME: Final = {"GB18030": "gb18030", "GBK": "gbk", "ISO 2022 GBK": "gbk", "ISO 2022 58": "gb2312", "UTF-8": "utf-8"}
_ASCII_ONLY: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_STAND_ALONE: Final = frozenset({"ISO_IR 192", "GB18030", "GBK"})
_ESCAPE: Final = b"\x1b"
_TO_ASCII: Final = b"\x1b(B"
_FRAGMENT: Final = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
_RESET: Final = re.compile(rb"[\\^=\r\n\f\t]")
"""Where a value goes back to its first character set. Source: DICOM PS3.5 6.1.2.5.3."""
_RESET_TEXT: Final = re.compile(r"([\\^=\r\n\f\t]+)")
_G1_ESCAPES: Final = {
    code: name
    for name, code in {
        "ISO 2022 IR 100": b"\x1b-A",
        "ISO 2022 IR 101": b"\x1b-B",
        "ISO 2022 IR 109": b"\x1b-C",
        "ISO 2022 IR 110": b"\x1b-D",
        "ISO 2022 IR 126": b"\x1b-F",
        "ISO 2022 IR 127": b"\x1b-G",
        "ISO 2022 IR 138": b"\x1b-H",
        "ISO 2022 IR 144": b"\x1b-L",
        "ISO 2022 IR 148": b"\x1b-M",
        "ISO 2022 IR 166": b"\x1b-T",
        "ISO 2022 IR 13": b"\x1b)I",
        "ISO 2022 IR 149": b"\x1b$)C",
        "ISO 2022 IR 58": b"\x1b$)A",
    }.items()
}
_ESCAPE_OF: Final = {name: code for code, name in _G1_ESCAPES.items()}
_G0_ESCAPE_OF: Final = {"ISO 2022 IR 87": b"\x1b$B", "ISO 2022 IR 159": b"\x1b$(D"}
"""Two-byte sets that take the place of ASCII until `ESC ( B`; Python's codecs write their escapes."""


def character_sets(value: str | bytes) -> CharacterSets:
    """Return the values of Specific Character Set (0008,0005) as it stands in a data set."""
    text = value if isinstance(value, str) else value.decode("ascii", "replace")
    sets = tuple(part.strip(" \0") for part in text.split("\\"))
    return () if not any(sets) else sets


@lru_cache(maxsize=256)
def _codec(name: str) -> str:
    """Return Python's codec for one defined term; common misspellings are understood, unknown terms are Latin-1."""
    digits = _NUMBER.fullmatch(name.strip())
    if digits is None:
        return _BY_NAME.get(name.strip().upper(), "latin-1")
    if digits[1] == "192":
        return "utf-8"
    codec = python_encoding.get(f"ISO_IR {digits[1]}") or python_encoding.get(f"ISO 2022 IR {digits[1]}")
    return codec or "latin-1"


def decode_text(value: bytes, sets: CharacterSets = ()) -> str:
    """Return the characters of a text value, padding kept.

    Undeclared bytes above 127 are read as UTF-8 when they are UTF-8, else as Latin-1: what such senders mean.
    """
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii")
    if not sets or (len(sets) == 1 and sets[0] in _ASCII_ONLY):
        return _undeclared(value)
    if _ESCAPE not in value:
        return value.decode(_codec(sets[0]), "replace") if sets[0] not in _ASCII_ONLY else _undeclared(value)
    if sets[0] in _STAND_ALONE:
        return value.decode(_codec(sets[0]), "replace")
    first = _codec(sets[0]) if sets[0] else "latin-1"
    return "".join(_decode_fragment(fragment, first) for fragment in _FRAGMENT.findall(value))


def text_of(vr: str, value: bytes, sets: CharacterSets = ()) -> str:
    """Return a text value without its padding: several values stay joined by backslashes.

    Leading spaces go too, except in the VRs whose text is laid out by the writer.

    Source: DICOM PS3.5 6.2 table 6.2-1, which spaces are significant.
    """
    text = decode_text(value, sets) if vr in TEXT_VRS else value.decode("latin-1")
    if vr in _LAID_OUT:
        return text.rstrip(" \0")
    if vr == "PN":
        return text.strip(" \0").rstrip("=")
    return text.strip(" \0")


def _undeclared(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _decode_fragment(fragment: bytes, first: str) -> str:
    """Decode the bytes between two escapes; a delimiter ends what the escape began."""
    if not fragment.startswith(_ESCAPE):
        return fragment.decode(first, "replace")
    for length in (3, 4):
        codec = CODES_TO_ENCODINGS.get(fragment[:length])
        if codec is None:
            continue
        if codec in ("iso2022_jp", "iso2022_jp_2"):
            return fragment.decode(codec, "replace")
        body = fragment[length:]
        if fragment[:length] == _TO_ASCII:
            return body.decode(first, "replace")
        stop = _RESET.search(body)
        if stop is None:
            return body.decode(codec, "replace")
        return body[: stop.start()].decode(codec, "replace") + body[stop.start() :].decode(first, "replace")
    return fragment.decode(first, "replace")


def encode_text(value: str, sets: CharacterSets = ()) -> bytes | None:
    """Return the bytes of a text value, or None when the character sets cannot express it.

    With several sets, code extensions are used; every component begins and ends in the first one.

    Source: DICOM PS3.5 6.1.2.5.3.
    """
    if value.isascii() and "\x1b" not in value:
        return value.encode("ascii")
    if not sets or "\x1b" in value:
        return None
    if len(sets) == 1 or sets[0] in _STAND_ALONE:
        return _encode_single(value, sets[0])
    return _encode_extended_parts(value, sets)


def _encode_single(value: str, name: str) -> bytes | None:
    if name in _ASCII_ONLY:
        return None
    if name in _ESCAPE_OF or name in _G0_ESCAPE_OF:
        return _encode_extended_parts(value, (name,))
    try:
        encoded = value.encode(_codec(name))
    except UnicodeEncodeError:
        return None
    return None if name == "ISO_IR 13" and not _is_jis_x_0201(value, encoded) else encoded


def _is_jis_x_0201(value: str, encoded: bytes) -> bool:
    """Return whether Python's Shift JIS stayed inside ISO-IR 13: it has two-byte characters, and backslash for `¥`."""
    return len(encoded) == len(value) and "¥" not in value and "‾" not in value


def _encode_extended_parts(value: str, sets: CharacterSets) -> bytes | None:
    parts = [_encode_extended(part, sets) for part in _RESET_TEXT.split(value)]
    return None if None in parts else b"".join(part for part in parts if part is not None)


def _encode_extended(component: str, sets: CharacterSets) -> bytes | None:
    """Encode one component, changing set where a character needs it, back in ASCII at its end."""
    out = bytearray()
    active = sets[0]
    for run in re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]+", component):
        if run.isascii():
            out += run.encode("ascii")
            continue
        while run:
            name, encoded, taken = _longest(run, sets)
            if not taken:
                return None
            if name != active and name in _ESCAPE_OF:
                out += _ESCAPE_OF[name]
            active = name if name in _ESCAPE_OF else ""  # simple readers forget G1 when they return to ASCII
            out += encoded
            run = run[taken:]  # noqa: PLW2901  # the rest of the run
    return bytes(out)


def _longest(run: str, sets: CharacterSets) -> tuple[str, bytes, int]:
    """Return the set that takes the most characters of the beginning of `run`, their bytes and their number."""
    best = ("", b"", 0)
    for name in sets:
        if name in _ASCII_ONLY:
            continue
        length = len(run)
        encoded = None
        while length > best[2]:
            encoded = _encode_run(run[:length], name)
            if encoded is not None:
                break
            length -= 1
        if encoded is not None and length > best[2]:
            best = (name, encoded, length)
            if length == len(run):
                break
    return best


def _encode_run(run: str, name: str) -> bytes | None:
    try:
        encoded = run.encode(_codec(name))
    except UnicodeEncodeError:
        return None
    escape = _G0_ESCAPE_OF.get(name)
    if escape is not None:
        escapes = set(re.findall(rb"\x1b[$(]*.", encoded))
        return encoded if escapes <= {escape, _TO_ASCII} else None
    return None if name == "ISO 2022 IR 13" and not _is_jis_x_0201(run, encoded) else encoded


def transliterate(value: str, sets: CharacterSets) -> str:
    """Return `value` with what the character sets cannot express made plain: marks stripped, the rest `?`.

    Never for identifiers: another number is another patient.

    Source: spec/worklist.md section 4.3.
    """
    if encode_text(value, sets) is not None:
        return value
    return "".join(_plain(character, sets) for character in _composed(value))


def _composed(value: str) -> str:
    """Return a text in NFC, made of pieces: the time grows with the square of the marks behind one character."""
    return "".join(unicodedata.normalize("NFC", piece) for piece in _PIECES.findall(value))


_PIECES: Final = re.compile("(?s:.{1,512}(?![^\x00-\u02ff])|.{1,512})")
"""Pieces that end in front of a character that is no mark (all of those lie beyond U+02FF), if there is one near."""


def _plain(character: str, sets: CharacterSets) -> str:
    if encode_text(character, sets) is not None:
        return character
    spelled = _SPELLED.get(character)
    if spelled is not None:
        return spelled
    bare = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return bare if bare and encode_text(bare, sets) is not None else "?"


_SPELLED: Final = {
    "ß": "ss",
    "Æ": "AE",
    "æ": "ae",
    "Ø": "O",
    "ø": "o",
    "Œ": "OE",
    "œ": "oe",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "–": "-",  # noqa: RUF001
    "—": "-",
    "‘": "'",  # noqa: RUF001
    "’": "'",  # noqa: RUF001
    "“": '"',
    "”": '"',
}
"""Letters that Unicode does not decompose, and typographic marks."""
