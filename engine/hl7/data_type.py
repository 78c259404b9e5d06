"""Whether text is what a primitive data type of HL7 v2 allows.

Source: HL7 v2.5.1 chapter 2.A; lengths of the primitive types as there.
"""

from __future__ import annotations

import re
from typing import Final

from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.errors import InvalidValue
from engine.hl7.timestamp import to_dicom

_TIMES: Final = frozenset({"DTM", "TS"})
_DATE: Final = re.compile(r"\d{4}(\d{2}(\d{2})?)?", re.ASCII)
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?([+-]\d{4})?", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}(\d{2}(\d{2}(([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_SEQUENCE: Final = re.compile(r"\d+", re.ASCII)
_FORMS: Final = {"DT": _DATE, "TM": _TIME, "DTM": _MOMENT, "TS": _MOMENT, "NM": _NUMBER, "SI": _SEQUENCE}
_LENGTHS: Final = {"ST": 199, "IS": 20, "NM": 16, "SI": 4}
"""TX and FT are left out: documents in them are longer than the standard foresaw."""
_HAS_LENGTHS: Final = frozenset({"2.5", "2.5.1", "2.6"})
"""Versions that give each primitive type a length; before, fields have one, after, there are only advised ones."""


def is_valid(text: str, data_type: str) -> bool:
    """Say whether `text`, unescaped, is a value of a primitive type. Types without a form of their own take all."""
    form = _FORMS.get(data_type)
    if form is None:
        return True
    if form.fullmatch(text) is None:
        return False
    return (data_type not in _TIMES and data_type != "DT") or _exists(text)


def length_limit(data_type: str, version: str) -> int | None:
    """Return the most characters that a primitive type has in a version; None when it says nothing."""
    return _LENGTHS.get(data_type) if version in _HAS_LENGTHS else None


def _exists(text: str) -> bool:
    """Whether a date is one of the calendar; the unknown ones (`0000`) count as such."""
    try:
        to_dicom(text, DEFAULT_DELIMITERS)
    except InvalidValue:
        return False
    return True
