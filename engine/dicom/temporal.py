"""Dates and times as matching keys: single values and ranges of DA, TM and DT.

A key of less precision stands for its whole span ("0930" is 09:30:00 to 09:30:59.999999); a stored value of less
precision stands for its beginning. Dates and times are matched separately, and a time range does not wrap at midnight.
Source: DICOM PS3.4 C.2.2.2.1 and C.2.2.2.5, PS3.5 6.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Span = tuple[str, str]
"""First and last instant that a value covers, as texts of the same width that compare like the instants."""

_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?")
_DATE_TIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?")
_LAST_OF_DATE_TIME: Final = ("9999", "12", "31", "23", "59", "60")
_FIRST_OF_DATE_TIME: Final = ("0000", "01", "01", "00", "00", "00")


def date_span(text: str) -> Span | None:
    """Return the day of a DA value, also in the old form with dots; None when it is no date."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = found.groups()
    if not ("01" <= month <= "12" and "01" <= day <= "31"):
        return None
    return year + month + day, year + month + day


def time_span(text: str) -> Span | None:
    """Return the span of a TM value, also in the old form with colons; None when it is no time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    if hour > "23" or (minute or "") > "59" or (second or "") > "60":
        return None
    first = hour + (minute or "00") + (second or "00") + (fraction or "").ljust(6, "0")
    last = hour + (minute or "59") + (second or "60") + (fraction or "").ljust(6, "9")
    return first, last


def date_time_span(text: str) -> Span | None:
    """Return the span of a DT value; its offset is left aside (engine and modality share the site's local time)."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    first = last = ""
    for part, low, high in zip(found.groups()[:6], _FIRST_OF_DATE_TIME, _LAST_OF_DATE_TIME, strict=True):
        if part is not None and not low <= part <= high:
            return None
        first += part or low
        last += part or high
    fraction = found.group(7) or ""
    return first + fraction.ljust(6, "0"), last + fraction.ljust(6, "9")


SPANS: Final[dict[str, Callable[[str], Span | None]]] = {"DA": date_span, "TM": time_span, "DT": date_time_span}
_LOWEST: Final = ""
_HIGHEST: Final = "\uffff"


def key_span(vr: str, text: str) -> Span | None:
    """Return what a matching key covers: a value, `a-b`, `a-` or `-b`; None when it is malformed.

    The second is smaller than the first for a range that covers nothing.
    """
    span = SPANS[vr]
    single = span(text)
    if single is not None:
        return single
    for at, character in enumerate(text):
        if character != "-":
            continue
        low, high = text[:at].strip(), text[at + 1 :].strip()
        first = span(low) if low else (_LOWEST, _LOWEST)
        last = span(high) if high else (_HIGHEST, _HIGHEST)
        if first is not None and last is not None and (low or high):
            return first[0], last[1]
    return None
