r"""The delimiters of one message, and taking field text apart and together with them.

Source: HL7 v2.5.1 chapter 2.5.4 (message delimiters), 2.7 (escapes).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from engine.hl7.errors import NotAMessage
from engine.hl7.escape import escape_text, special_characters, unescape

NULL: Final = '""'
"""The explicit null: "erase this". Source: HL7 v2.5.1 chapter 2.5.3."""

_DEFAULTS: Final = "^~\\&"
_MOST_ENCODING: Final = 8
"""Characters of MSH-2 that are looked at: what is kept of a message must not be as long as its sender likes."""
_DEFAULT_TRUNCATION: Final = "#"


class Delimiters:
    """What separates fields, repetitions, components and subcomponents, and how values are escaped.

    Values that the methods call `raw` are text as it stands in the message, still escaped.
    Only the truncation character may be missing; it is empty then.
    """

    __slots__ = (
        "_letters",
        "_sequences",
        "_special",
        "charset",
        "component_separator",
        "encoding_characters",
        "escape_character",
        "field_separator",
        "repetition_separator",
        "subcomponent_separator",
        "truncation_character",
    )

    def __init__(self, field_separator: str = "|", encoding: str = _DEFAULTS, charset: str = "utf_8") -> None:
        """Take MSH-1 and MSH-2; a short MSH-2 is filled from the defaults, `^~&` as one without escape character.

        Args:
            field_separator: MSH-1, one character.
            encoding: MSH-2: component, repetition, escape, subcomponent, and from 2.7 truncation.
            charset: Python codec of the message, for hexadecimal escapes.

        Raises:
            NotAMessage: HL7-101, a delimiter is not printable or stands twice, a filled-in default included.
        """
        self.encoding_characters = encoding.rstrip(" ")
        stated = self.encoding_characters[:5]
        if len(stated) == 3 and stated[2] == _DEFAULTS[3]:
            stated = stated[:2] + _DEFAULTS[2:]
        characters = stated + _DEFAULTS[len(stated) :]
        if not _are_usable(field_separator + characters):
            raise NotAMessage
        self.charset = charset
        self.field_separator = field_separator
        self.component_separator = characters[0]
        self.repetition_separator = characters[1]
        self.escape_character = characters[2]
        self.subcomponent_separator = characters[3]
        self.truncation_character = characters[4:]
        self._prepare_escapes()

    def _prepare_escapes(self) -> None:
        meanings = {
            "F": self.field_separator,
            "S": self.component_separator,
            "T": self.subcomponent_separator,
            "R": self.repetition_separator,
            "E": self.escape_character,
            "P": self.truncation_character,
        }
        esc = self.escape_character
        special = "".join(meanings.values())
        self._special = special_characters(special)
        self._sequences = {c: f"{esc}{letter}{esc}" for letter, c in meanings.items() if c}
        self._sequences["\n"] = f"{esc}{'X0A' if '.' in special else '.br'}{esc}"
        meanings["P"] = meanings["P"] or _DEFAULT_TRUNCATION
        self._letters = {**meanings, "H": "", "N": ""}

    @classmethod
    def of(cls, field_separator: str, encoding: str, charset: str) -> Delimiters:
        """Return the delimiters of MSH-1 and MSH-2; equal ones are one object.

        Raises:
            NotAMessage: HL7-101.
        """
        return _delimiters(field_separator, encoding[:_MOST_ENCODING], charset)

    def repetitions(self, raw: str) -> list[str]:
        """Return the repetitions of a field; an empty field has none."""
        if not raw:
            return []
        return raw.split(self.repetition_separator)

    def components(self, raw: str) -> list[str]:
        """Return the components of one repetition; a field without components is its own first."""
        return raw.split(self.component_separator)

    def subcomponents(self, raw: str) -> list[str]:
        """Return the subcomponents of one component; a component without any is its own first."""
        return raw.split(self.subcomponent_separator)

    def component(self, raw: str, number: int) -> str | None:
        """Return component `number` (from 1) of one repetition; None when it is beyond the last."""
        parts = self.components(raw)
        return parts[number - 1] if 0 < number <= len(parts) else None

    def subcomponent(self, raw: str, number: int) -> str | None:
        """Return subcomponent `number` (from 1) of one component; None when it is beyond the last."""
        parts = self.subcomponents(raw)
        return parts[number - 1] if 0 < number <= len(parts) else None

    def unescape(self, raw: str) -> str:
        r"""Return the text that `raw` stands for. Line breaks are `\n`."""
        escape = self.escape_character
        if escape not in raw:
            return raw
        return unescape(raw, escape, self._letters, self.charset)

    def escape(self, text: str) -> str:
        """Return `text` as it may stand in a value of this message."""
        return escape_text(text, self.escape_character, self._special, self._sequences)

    @staticmethod
    def is_null(raw: str | None) -> bool:
        """Say whether `raw` is the explicit null: two quotation marks."""
        return raw == NULL


def _are_usable(characters: str) -> bool:
    """Say whether these are different visible ASCII characters, none a letter, digit or quotation mark."""
    return (
        len(characters) > 4
        and len(set(characters)) == len(characters)
        and characters.isascii()
        and characters.isprintable()
        and not any(c.isalnum() or c in ' "' for c in characters)
    )


@lru_cache(maxsize=256)
def _delimiters(field_separator: str, encoding: str, charset: str) -> Delimiters:
    return Delimiters(field_separator, encoding, charset)


DEFAULT_DELIMITERS: Final = Delimiters()
