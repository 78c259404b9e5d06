"""From MSH-18 to a codec, and from bytes to text. Bytes are decoded before anything is split.

Second bytes of GB18030, Big5, Shift-JIS and ISO-2022-JP characters include delimiter values, so a message that is split
first is a message that is broken.
Source: HL7 table 0211; HL7 v2.5.1 chapter 2.15.9.18 (MSH-18), 2.15.9.20 (MSH-20).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from engine.hl7.errors import MarksWithoutEnd, UndecodableBytes

UTF_8: Final = "utf_8"
BOM: Final = b"\xef\xbb\xbf"

_ISO_2022: Final = ("iso2022_jp_2", "iso2022_jp_ext")
_BY_NAME: Final[dict[str, tuple[str, ...]]] = {
    "ISOIR14": ("shift_jis", "cp932"),
    "ISOIR13": ("shift_jis", "cp932"),
    "SHIFTJIS": ("shift_jis", "cp932"),
    "SJIS": ("shift_jis", "cp932"),
    "ISOIR87": _ISO_2022,
    "ISOIR159": _ISO_2022,
    "ISO2022JP": _ISO_2022,
    "JISX0202": _ISO_2022,
    "JAS2020": _ISO_2022,
    "GB180302000": ("gb18030",),
    "GB18030": ("gb18030",),
    "GB2312": ("gb18030",),
    "GBK": ("gb18030",),
    "KSX1001": ("cp949",),
    "KSC5601": ("cp949",),
    "EUCKR": ("cp949",),
    "BIG5": ("big5hkscs", "cp950"),
    "UNICODE": (UTF_8,),
    "UNICODEUTF8": (UTF_8,),
    "UTF8": (UTF_8,),
    "ISOIR192": (UTF_8,),
    # A body whose MSH is readable byte by byte is not UTF-16 or UTF-32, whatever it says.
    "UNICODEUTF16": (UTF_8,),
    "UNICODEUTF32": (UTF_8,),
    "LATIN1": ("iso8859_1",),
    "ISOIR100": ("iso8859_1",),
    "ISOIR101": ("iso8859_2",),
    "ISOIR109": ("iso8859_3",),
    "ISOIR110": ("iso8859_4",),
    "ISOIR144": ("iso8859_5",),
    "ISOIR127": ("iso8859_6",),
    "ISOIR126": ("iso8859_7",),
    "ISOIR138": ("iso8859_8",),
    "ISOIR148": ("iso8859_9",),
    "ISOIR203": ("iso8859_15",),
    "ISOIR166": ("iso8859_11",),
    "WINDOWS1252": ("cp1252",),
    "CP1252": ("cp1252",),
    "ANSI": ("cp1252",),
    "WINDOWS1250": ("cp1250",),
    "CP1250": ("cp1250",),
    "WINDOWS1251": ("cp1251",),
    "CP1251": ("cp1251",),
}
_ISO_8859 = re.compile(r"(?:ISO)?8859(1[0134-6]|[1-9])")
_UNDECLARED: Final = frozenset({"", "ASCII", "USASCII", "ISOIR6", '""'})
_LONGEST_NAME: Final = 32
_MOST_MARKS: Final = 30
_FAR_FROM_LATIN: Final = re.compile(f"[^\\x00-\u02ff]{{{_MOST_MARKS + 1},}}")
"""All combining marks lie beyond U+02FF; few texts have so long a run of such characters without a blank."""
_MARKS: Final = re.compile(rb"[^\0]{%d}" % (_MOST_MARKS + 1))
_HIDDEN_MARKS: Final = {0x0F73: 0x0F71, 0x0F75: 0x0F71, 0x0F81: 0x0F71}
"""Tibetan vowel signs that are no marks themselves, and come apart into nothing but marks."""
_NOISE = re.compile(r"[\s_/.-]+")

_NAME_OF_CODEC: Final = {
    "ascii": "ASCII",
    UTF_8: "UNICODE UTF-8",
    "shift_jis": "ISO IR14",
    "cp932": "ISO IR14",
    "iso2022_jp_2": "ISO IR87",
    "iso2022_jp_ext": "ISO IR87",
    "gb18030": "GB 18030-2000",
    "cp949": "KS X 1001",
    "big5hkscs": "BIG-5",
    "cp950": "BIG-5",
}


def codecs_of(declared: str) -> tuple[str, ...]:
    """Return the Python codecs to try for one name of table 0211 or its common misspellings, best first.

    Empty for ASCII, for nothing, and for a set that has no codec: tell them apart with `is_undeclared`.
    """
    return _codecs_of(declared) if len(declared) <= _LONGEST_NAME else ()


@lru_cache(maxsize=256)
def _codecs_of(declared: str) -> tuple[str, ...]:
    key = _NOISE.sub("", declared).upper()
    known = _BY_NAME.get(key)
    if known is not None:
        return known
    numbered = _ISO_8859.fullmatch(key)
    return (f"iso8859_{numbered[1]}",) if numbered else ()


def is_undeclared(declared: str) -> bool:
    """Say whether MSH-18 leaves the set open: empty, or ASCII while the bytes may say more."""
    return _NOISE.sub("", declared).upper() in _UNDECLARED


def writing_codec(name: str) -> str:
    """Return the Python codec that messages of a set of table 0211 are written with; ASCII for one that has none."""
    return next(iter(codecs_of(name)), "ascii")


def hl7_name(codec: str) -> str:
    """Return the name in table 0211 for a Python codec of ours."""
    if codec.startswith("iso8859_"):
        return f"8859/{codec.removeprefix('iso8859_')}"
    return _NAME_OF_CODEC.get(codec, codec)


def decode(raw: bytes, declared: str = "", default: str | None = None) -> tuple[str, str]:
    """Return the text of a body and the Python codec that read it.

    Args:
        raw: The body, a byte order mark included.
        declared: MSH-18 as it stands, repetitions separated by `~`.
        default: Sets of the listener (names of table 0211 separated by `~`), tried when nothing usable is declared or
            what is declared does not fit.

    Valid multi-byte UTF-8 wins over a declared 8-bit set of ISO 8859. Text is normalised to NFC.

    Raises:
        UndecodableBytes: HL7-102, no set that may be meant fits.
        MarksWithoutEnd: HL7-102.
    """
    start = len(BOM) if raw.startswith(BOM) else 0
    if start:
        raw = raw[start:]
        declared, default = "UNICODE UTF-8", None
    first = codecs_of(declared.partition("~")[0]) or codecs_of((default or "").partition("~")[0])
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii"), first[0] if first else UTF_8
    failures: dict[str, UnicodeDecodeError] = {}
    for codec in _candidates(raw, declared, default):
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError as cause:
            failures[codec] = cause
        else:
            return _composed(text), codec
    if not failures:
        offset = next(i for i, byte in enumerate(raw) if byte > 0x7F)
        raise UndecodableBytes(offset=start + offset, charset="ASCII")
    blamed = first[0] if first and first[0] in failures else next(iter(failures))
    failure = failures[blamed]
    raise UndecodableBytes(offset=start + failure.start, charset=hl7_name(blamed)) from failure


def _composed(text: str) -> str:
    """Return the text in NFC; the time that takes grows with the square of the marks behind one character.

    Source: Unicode Standard Annex 15, section 13 (Stream-Safe Text Process).
    """
    for run in _FAR_FROM_LATIN.finditer(text):
        marks = _MARKS.search(bytes(map(unicodedata.combining, run[0].translate(_HIDDEN_MARKS))))
        if marks is not None:
            raise MarksWithoutEnd(limit=_MOST_MARKS, offset=run.start() + marks.start())
    return unicodedata.normalize("NFC", text)


def _candidates(raw: bytes, declared: str, default: str | None) -> list[str]:
    names = declared.split("~")
    listed = [codec for name in names for codec in codecs_of(name)]
    first = list(codecs_of(names[0]))
    fallback = [codec for name in default.split("~") for codec in codecs_of(name)] if default else []
    if b"\x1b" in raw and _ISO_2022[0] in listed:
        return [*_ISO_2022, *fallback]
    if first and first[0] in _ISO_2022:
        return [*first, UTF_8, *fallback]
    if first and (first[0].startswith("iso8859_") or first[0] == "cp1252"):
        return [UTF_8, *first, *fallback]
    if first:
        return [*first, *fallback]
    if all(is_undeclared(name) for name in names):
        return fallback or [UTF_8, "cp1252"]
    if raw.isascii():
        return ["ascii"]
    return fallback
