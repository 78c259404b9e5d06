"""Names of people: XPN, XCN and NDL to and from DICOM PN.

The order differs: HL7 writes family ^ given ^ middle ^ **suffix ^ prefix**, DICOM family ^ given ^ middle ^ **prefix ^
suffix**. A degree is appended to the suffix. Several writings of one name (alphabetic, ideographic, phonetic) are
repetitions in HL7 and component groups separated by `=` in DICOM.
Source: HL7 v2.5.1 chapter 2.A.88 (XPN), 2.A.86 (XCN), 2.A.30 (FN), 2.A.47 (NDL); DICOM PS3.5 6.2.1 (PN).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from engine.hl7.delimiter import NULL, Delimiters

_FORBIDDEN: Final = str.maketrans({"^": " ", "=": " ", "\\": "/", "\r": " ", "\n": " ", "\t": " "})
_TYPE: Final = 7
_REPRESENTATION: Final = 8
_GROUPS: Final = ("A", "I", "P")
_REMEMBERED: Final = 256
"""Longest XCN field whose name is remembered [characters]."""


def person_name(raw: str, delimiters: Delimiters) -> str:
    """Return an XPN field, all repetitions, as one DICOM PN value; "" when it names nobody.

    The legal name (type L) is taken, else the first; of the same type, ideographic and phonetic repetitions become
    the second and third component group. A backslash becomes `/`, `^` and `=` become spaces, as PN cannot carry them.
    """
    named = [parts for repetition in delimiters.repetitions(raw) if (parts := delimiters.components(repetition))]
    named = [parts for parts in named if any(part and part != NULL for part in parts[:6])]
    if not named:
        return ""
    chosen_type = next((_type_of(parts) for parts in named if _type_of(parts) == "L"), _type_of(named[0]))
    groups: dict[str, str] = {}
    for parts in named:
        if _type_of(parts) == chosen_type:
            groups.setdefault(_representation_of(parts), _pn_group(parts[:6], delimiters))
    return _joined_groups([groups.get(code, "") for code in _GROUPS])


def provider_name(raw: str, delimiters: Delimiters) -> str:
    """Return the first person of an XCN field as a DICOM PN value: family is component 2; "" when no name is given.

    Older senders put the whole field as one name without an identifier; component 1 is never taken as a name.
    """
    # The same few people order, read and sign everything in a hospital, most of them twice in one message.
    return _remembered_provider_name(raw, delimiters) if len(raw) <= _REMEMBERED else _provider_name(raw, delimiters)


def _provider_name(raw: str, delimiters: Delimiters) -> str:
    for repetition in delimiters.repetitions(raw):
        group = _pn_group(delimiters.components(repetition)[1:7], delimiters)
        if group:
            return group
    return ""


_remembered_provider_name = lru_cache(maxsize=1024)(_provider_name)


def provider_names(raw: str, delimiters: Delimiters) -> list[str]:
    """Return every named person of an XCN field as DICOM PN values."""
    return [name for repetition in delimiters.repetitions(raw) if (name := provider_name(repetition, delimiters))]


def practitioner_name(raw: str, delimiters: Delimiters) -> str:
    """Return the first person of an NDL field as a DICOM PN value. Its parts are *sub*components of component 1."""
    for repetition in delimiters.repetitions(raw):
        parts = delimiters.subcomponents(delimiters.components(repetition)[0])
        group = _pn_group(parts[1:7], delimiters)
        if group:
            return group
    return ""


def to_xpn(name: str, delimiters: Delimiters, *, name_type: str = "L") -> str:
    """Return a DICOM PN value as raw XPN field text, a repetition for each component group.

    Args:
        name: PN value: groups separated by `=`, components by `^`.
        delimiters: Those of the message that is written.
        name_type: XPN.7, table 0200; written only when there is a name.
    """
    groups = name.rstrip("= ").split("=")
    several = sum(1 for group in groups if group.strip("^ ")) > 1 or any(g.strip("^ ") for g in groups[1:])
    repetitions = []
    for code, group in zip(_GROUPS, groups, strict=False):
        values = [part.strip() for part in group.split("^")][:5]
        if not any(values):
            continue
        values += [""] * (5 - len(values))
        family, given, middle, prefix, suffix = values
        xpn = [family, given, middle, suffix, prefix, "", name_type, code if several else ""]
        repetitions.append(_joined(xpn, delimiters))
    return delimiters.repetition_separator.join(repetitions)


def to_xcn(name: str, delimiters: Delimiters, *, identifier: str = "") -> str:
    """Return a DICOM PN value as raw XCN field text; the alphabetic group is written."""
    values = [part.strip() for part in name.partition("=")[0].split("^")][:5]
    values += [""] * (5 - len(values))
    family, given, middle, prefix, suffix = values
    return _joined([identifier, family, given, middle, suffix, prefix], delimiters)


def _joined(values: Sequence[str], delimiters: Delimiters) -> str:
    separator = delimiters.component_separator
    return separator.join(delimiters.escape(value) for value in values).rstrip(separator)


def _type_of(parts: list[str]) -> str:
    return parts[_TYPE - 1].strip().upper() if len(parts) >= _TYPE else ""


def _representation_of(parts: list[str]) -> str:
    code = parts[_REPRESENTATION - 1].strip().upper() if len(parts) >= _REPRESENTATION else ""
    return code if code in _GROUPS else "A"


def _pn_group(parts: list[str], delimiters: Delimiters) -> str:
    """Return one component group from family, given, middle, suffix, prefix, degree."""
    values = [_family(parts[0], delimiters) if parts else "", *(_plain(part, delimiters) for part in parts[1:6])]
    values += [""] * (6 - len(values))
    family, given, middle, suffix, prefix, degree = values
    endings = " ".join(ending for ending in (suffix, degree) if ending)
    return f"{family}^{given}^{middle}^{prefix}^{endings}".rstrip("^")


def _family(raw: str, delimiters: Delimiters) -> str:
    """Return the surname of an FN. Its own prefix (`van`) is put in front where the sender keeps it apart."""
    parts = [_plain(part, delimiters) for part in delimiters.subcomponents(raw)]
    surname = parts[0]
    prefix = parts[1] if len(parts) > 1 else ""
    if not surname:
        surname = parts[2] if len(parts) > 2 else ""
    if prefix and surname and not surname.casefold().startswith(prefix.casefold()):
        return f"{prefix} {surname}"
    return surname


def _plain(raw: str, delimiters: Delimiters) -> str:
    if not raw or raw == NULL:
        return ""
    first = delimiters.subcomponents(raw)[0]
    return " ".join(delimiters.unescape(first).translate(_FORBIDDEN).split())


def _joined_groups(groups: list[str]) -> str:
    return "=".join(groups).rstrip("=")
