"""Compares what two sources say about a person: name, birth date, sex.

Absent is not different: an empty birth date is no evidence, another birth date is.
Source: spec/reconcile.md section 2.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

_LETTERS = str.maketrans(
    {"ß": "SS", "ẞ": "SS", "Ø": "O", "ø": "o", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l"}
)
_UNKNOWN_DATES = frozenset({"00000000", "0000", "19000101", "99991231"})
_CLOSE_FROM_LENGTH = 5
_MOST_COMPARED = 512
"""Characters of a name that are looked at; PN has room for 194, and taking marks off costs the square of their number.

Source: DICOM PS3.5 6.2 (PN).
"""
_ACCENTS_FROM = 200
_POINTS = range(10, 36)
"""Canonical combining classes of Hebrew and Arabic vowel points; those of accents are 200 and more."""


class Agreement(StrEnum):
    """How two values stand to each other."""

    EQUAL = "equal"
    CLOSE = "close"
    DIFFERENT = "different"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a source says about a person. `name` is a DICOM PN value, `birth_date` YYYY[MM[DD]]."""

    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Name, birth date and sex of two sources, side by side."""

    name: Agreement
    birth_date: Agreement
    same_birth_year: bool
    sex_conflict: bool

    @property
    def as_evidence(self) -> dict[str, str]:
        """Return the comparison as data for a link or a hold; classes only, no values."""
        return {
            "name": self.name.value,
            "birth_date": self.birth_date.value,
            "sex": "conflict" if self.sex_conflict else "no conflict",
        }


def compare(one: Person, other: Person) -> Comparison:
    """Return how two descriptions of a person agree."""
    return Comparison(
        name=compare_names(one.name, other.name),
        birth_date=compare_birth_dates(one.birth_date, other.birth_date),
        same_birth_year=bool(one.birth_date.strip()) and one.birth_date.strip()[:4] == other.birth_date.strip()[:4],
        sex_conflict={one.sex.strip().upper(), other.sex.strip().upper()} == {"M", "F"},
    )


def compare_names(one: str, other: str) -> Agreement:
    """Compare two DICOM PN values: alphabetic, ideographic and phonetic group, each with its own kind.

    CLOSE: one letter apart (from five letters on), family and given swapped, one given name missing, or one group
    equal and another not (another transliteration, or somebody of the same sound).
    """
    both = zip(_groups(one[:_MOST_COMPARED]), _groups(other[:_MOST_COMPARED]), strict=True)
    found = {_compare_groups(mine, theirs) for mine, theirs in both}
    found.discard(Agreement.EMPTY)
    if len(found) <= 1:
        return found.pop() if found else Agreement.EMPTY
    return Agreement.CLOSE if Agreement.EQUAL in found else Agreement.DIFFERENT


def compare_birth_dates(one: str, other: str) -> Agreement:
    """Compare two dates; a year or a month alone is compared at that precision, day and month swapped is CLOSE."""
    mine, theirs = one.strip(), other.strip()
    if not mine or not theirs or mine in _UNKNOWN_DATES or theirs in _UNKNOWN_DATES:
        return Agreement.EMPTY
    known = min(len(mine), len(theirs))
    if mine[:known] == theirs[:known]:
        return Agreement.EQUAL if len(mine) == len(theirs) else Agreement.CLOSE
    if mine[:4] == theirs[:4] and mine[4:6] == theirs[6:8] and mine[6:8] == theirs[4:6]:
        return Agreement.CLOSE
    return Agreement.DIFFERENT


@lru_cache(maxsize=4096)
def _groups(name: str) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
    """Return (family, first given) of the alphabetic, ideographic and phonetic group, normalised."""
    groups = [*name.split("="), "", "", ""][:3]
    pairs = []
    for group in groups:
        components = [*group.split("^"), "", ""]
        pairs.append((_plain(components[0]), _plain(components[1])))
    return (pairs[0], pairs[1], pairs[2])


def _plain(component: str) -> str:
    """Return letters without accents, upper-case; vowel signs of Thai or Hindi and kana voicing are letters."""
    folded = unicodedata.normalize("NFKD", component.translate(_LETTERS)).upper()
    letters = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded if not _is_accent(c))
    return " ".join(letters.split())


def _is_accent(character: str) -> bool:
    place = unicodedata.combining(character)
    return place >= _ACCENTS_FROM or place in _POINTS


def _compare_groups(mine: tuple[str, str], theirs: tuple[str, str]) -> Agreement:
    if not any(mine) or not any(theirs):
        return Agreement.EMPTY
    my_first, their_first = _first(mine[1]), _first(theirs[1])
    if mine[0] == theirs[0] and (mine[1] == theirs[1] or (my_first == their_first and my_first)):
        return Agreement.EQUAL
    if mine[0] == theirs[0] and not (mine[1] and theirs[1]):
        return Agreement.CLOSE
    if mine[0] == theirs[1] and mine[1] == theirs[0]:
        return Agreement.CLOSE
    whole_mine, whole_theirs = f"{mine[0]} {my_first}", f"{theirs[0]} {their_first}"
    if min(len(whole_mine), len(whole_theirs)) >= _CLOSE_FROM_LENGTH and _one_edit_apart(whole_mine, whole_theirs):
        return Agreement.CLOSE
    return Agreement.DIFFERENT


def _first(given: str) -> str:
    return given.split(" ", 1)[0]


def _one_edit_apart(one: str, other: str) -> bool:
    """Whether one letter changed, added, removed, or two neighbours swapped turns one text into the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    if short[at + 1 :] == long[at + 1 :]:
        return True
    return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
