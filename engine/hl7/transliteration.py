"""Text for receivers whose character set cannot carry it: the nearest letters, only where a site asks for that.

Source: Unicode Standard Annex 15 (compatibility decomposition); the table holds the letters that have none.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_NEAREST: Final = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"', "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
    "\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...", "\N{EURO SIGN}": "EUR",
}  # fmt: skip


def transliterate(text: str, codec: str) -> str:
    """Return `text` with what `codec` cannot carry written in the nearest letters; what has none stays.

    `Č` becomes `C`, `ß` becomes `ss`; letters of other scripts have no nearest ones.
    """
    if _fits(text, codec):
        return text
    return "".join(char if _fits(char, codec) else _nearest(char, codec) for char in text)


def _nearest(char: str, codec: str) -> str:
    near = _NEAREST.get(char)
    if near is None:
        decomposed = unicodedata.normalize("NFKD", char)
        near = "".join(part for part in decomposed if not unicodedata.combining(part))
        near = "".join(_NEAREST.get(part, part) for part in near)
    return near if near and _fits(near, codec) else char


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
