"""Attribute matching: what a key of a C-FIND identifier accepts.

A key is compiled once per query into a function of a stored value. Nothing here backtracks: the cost of a comparison
is the length of key and value at most.
Source: DICOM PS3.4 C.2.2.2; our choices in spec/worklist.md section 4.2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from engine.dicom.dataset_error import BadKeyValue, IdentifierTooLarge
from engine.dicom.dictionary import keyword_of
from engine.dicom.temporal import SPANS, key_span

Matcher = Callable[[Sequence[str]], bool]
"""Whether one of the values of a stored attribute is accepted; no values is an empty attribute."""

WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
KEY_CHARACTERS: Final = 1024
"""Longest wildcard key we compile."""
_NAME_CHARACTERS: Final = 512
"""Longest name that is normalised: the time grows with the square of the combining marks behind one character."""
_TRAILING_ONLY: Final = frozenset({"LT", "ST", "UC", "UR", "UT"})


def is_universal(key: str) -> bool:
    """Return whether a key accepts everything: zero length, or nothing but `*`.

    A lone `*` counts for every VR: modalities fill it into dates too.
    """
    return not key.strip(" \0*")


def is_wildcard(vr: str, key: str) -> bool:
    """Return whether `*` and `?` of this key have a meaning."""
    return vr in WILDCARD_VRS and ("*" in key or "?" in key)


def matcher(vr: str, tag: int, key: str) -> Matcher | None:
    """Compile a key; None when it is universal.

    Raises:
        BadKeyValue: DCM-121, a DA, TM or DT key is neither a value nor a range.
        IdentifierTooLarge: DCM-123, a wildcard key over `KEY_CHARACTERS`.
    """
    if is_universal(key):
        return None
    if len(key) > KEY_CHARACTERS and is_wildcard(vr, key):
        raise IdentifierTooLarge(limit=KEY_CHARACTERS, where=keyword_of(tag))
    if vr in SPANS:
        return _temporal(vr, tag, key.strip())
    if vr == "PN":
        return _any(*[_name_test(part) for part in key.split("\\")])
    if "\\" in key and vr not in ("LT", "ST", "UT"):  # list of UID; the same courtesy for codes and AE titles
        tests = [_text_test(vr, part) for part in key.split("\\") if part.strip(" \0")]
        return _any(*tests)
    return _any(_text_test(vr, key))


def _any(*tests: Callable[[str], bool]) -> Matcher:
    if len(tests) == 1:
        test = tests[0]
        return lambda values: any(map(test, values))
    return lambda values: any(test(value) for value in values for test in tests)


def _temporal(vr: str, tag: int, key: str) -> Matcher:
    covered = key_span(vr, key)
    if covered is None:
        raise BadKeyValue(keyword=keyword_of(tag))
    first, last = covered
    span = SPANS[vr]

    def accepts(value: str) -> bool:
        stored = span(value)
        return stored is not None and first <= stored[0] <= last

    return _any(accepts)


def _trimmed(vr: str, value: str) -> str:
    return value.rstrip(" \0") if vr in _TRAILING_ONLY else value.strip(" \0")


def _text_test(vr: str, key: str) -> Callable[[str], bool]:
    wanted = _trimmed(vr, key)
    if is_wildcard(vr, wanted):
        pattern = wildcard(wanted)
        return lambda value: pattern(_trimmed(vr, value))
    return lambda value: value == wanted or _trimmed(vr, value) == wanted


def wildcard(key: str) -> Callable[[str], bool]:
    """Compile `*` (any run, also none) and `?` (one character).

    The pieces between stars are looked for from left to right, each once: leftmost is always good enough.
    """
    pieces = [_piece(piece) for piece in key.split("*")]
    first, *between = pieces
    if not between:
        whole = first
        return lambda value: whole.fullmatch(value) is not None
    last = between.pop()
    last_length = len(key) - key.rindex("*") - 1
    shortest = sum(character != "*" for character in key)

    def accepts(value: str) -> bool:
        if len(value) < shortest:
            return False
        found = first.match(value)
        stop = len(value) - last_length
        if found is None or last.match(value, stop) is None:
            return False
        for piece in between:
            found = piece.search(value, found.end(), stop)
            if found is None:
                return False
        return True

    return accepts


def _piece(text: str) -> re.Pattern[str]:
    """Compile a text of fixed length; without quantifiers a pattern cannot backtrack."""
    return re.compile("".join("." if character == "?" else re.escape(character) for character in text), re.DOTALL)


def _folded(name: str) -> str:
    """Return a name in NFC and small letters; one that is far too long for a name only in small letters."""
    if not name.isascii() and len(name) <= _NAME_CHARACTERS:
        name = unicodedata.normalize("NFC", name)
    return name.lower()


def _groups(name: str) -> list[str]:
    """Return the component groups of a name, padding and empty components at the end removed."""
    return ["^".join(component.strip(" \0") for component in group.split("^")).rstrip("^") for group in name.split("=")]


def _name_test(key: str) -> Callable[[str], bool]:
    """Compile a person name: without regard to case, per component group, trailing empty components ignored.

    A key of one group may match any group of the stored name. `DOE^*` also accepts a name without a given name.
    """
    tests = [_group_test(group) for group in _groups(_folded(key))]
    while tests and tests[-1] is None:
        tests.pop()

    def accepts(value: str) -> bool:
        stored = _groups(_folded(value))
        if len(tests) == 1:
            only = tests[0]
            return only is None or any(group and only(group) for group in stored)
        stored += [""] * (len(tests) - len(stored))
        return all(test is None or test(group) for test, group in zip(tests, stored, strict=False))

    return accepts


def _group_test(group: str) -> Callable[[str], bool] | None:
    if not group:
        return None
    if "*" not in group and "?" not in group:
        return lambda stored: stored == group
    pattern = wildcard(group)
    carets = group.count("^")
    return lambda stored: pattern(stored) or pattern(stored + "^" * max(0, carets - stored.count("^")))
