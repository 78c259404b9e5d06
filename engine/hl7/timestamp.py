"""Dates and times: HL7 TS, DTM, DT to and from DICOM DT and DA, in the sender's precision and with its offset.

Both write `YYYY[MM[DD[HH[MM[SS[.fraction]]]]]][+/-ZZZZ]`; they differ in the length of the fraction (4 and 6 digits),
in what senders add around it, and in how nothing is said.
Source: HL7 v2.5.1 chapter 2.A.75 (TS), 2.A.22 (DTM); DICOM PS3.5 6.2 (DA, DT).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from engine.hl7.delimiter import NULL, Delimiters
from engine.hl7.errors import InvalidValue
from engine.hl7.location import parse_erl

_COMPACT: Final = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:\.(?P<fraction>\d{0,9}))?)?)?)?)?)?"
    r"(?P<offset>[+-]\d{4})?",
    re.ASCII,
)
_ISO_8601: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?)?)?"
    r"(?P<offset>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_DATE: Final = re.compile(r"\d{4,8}", re.ASCII)
_NO_BIRTH_DATE: Final = "19000101"
_HL7_FRACTION: Final = 4
_DICOM_FRACTION: Final = 6


def to_dicom(raw: str, delimiters: Delimiters, *, where: str | None = None) -> str:
    """Return a TS, DTM or DT field as a DICOM DT value.

    Args:
        raw: Field text; the first component is read, TS.2 (precision) is ignored.
        delimiters: Those of the message.
        where: ERL of the field, for the error.

    Returns:
        DT text with the digits the sender gave; "" when nothing is said or a date is stated as unknown
        (all zeros, or 31 December 9999). Hour 24 is hour 00 of the next day.

    Raises:
        InvalidValue: HL7-112, no date and time.
    """
    stated = delimiters.unescape(delimiters.components(raw)[0]).strip() if raw else ""
    if not stated or stated == NULL:
        return ""
    found = _COMPACT.fullmatch(stated) or _ISO_8601.fullmatch(stated)
    if found is None:
        raise _invalid(where)
    digits = (found["year"], found["month"] or "", found["day"] or "", found["hour"] or "", found["minute"] or "")
    day = "".join(digits[:3])
    if not day.strip("0") or day == "99991231":
        return ""
    second = found["second"] or ""
    try:
        day, hour = _checked(day, found["hour"] or "", found["minute"] or "", second)
        offset = _offset(found["offset"] or "")
    except ValueError as cause:
        raise _invalid(where) from cause
    fraction = (found["fraction"] or "")[:_DICOM_FRACTION]
    return f"{day}{hour}{digits[4]}{second}" + (f".{fraction}" if fraction else "") + offset


def to_dicom_date(raw: str, delimiters: Delimiters, *, where: str | None = None) -> str:
    """Return the date of a TS, DTM or DT field as `YYYY[MM[DD]]`, the time left out.

    1 January 1900 is what many senders write for a birth date that nobody knows, so it says nothing: "".

    Raises:
        InvalidValue: HL7-112.
    """
    found = _DATE.match(to_dicom(raw, delimiters, where=where))
    return found[0] if found and found[0] != _NO_BIRTH_DATE else ""


def from_dicom(value: str, *, where: str | None = None) -> str:
    """Return a DICOM DT or DA value as HL7 TS text; the fraction is cut to HL7's four digits.

    Raises:
        InvalidValue: HL7-112, no date and time.
    """
    stated = value.strip(" \0")
    if not stated:
        return ""
    found = _COMPACT.fullmatch(stated)
    if found is None:
        raise _invalid(where)
    fraction = (found["fraction"] or "")[:_HL7_FRACTION]
    whole = stated[: 14 if found["second"] else found.end() - len(found["offset"] or "")]
    return whole + (f".{fraction}" if fraction else "") + (found["offset"] or "")


def _checked(day: str, hour: str, minute: str, second: str) -> tuple[str, str]:
    """Return day and hour when they exist in the calendar; ValueError when they do not."""
    calendar_day = date(int(day[:4]), int(day[4:6] or 1), int(day[6:8] or 1))
    if hour == "24" and int(minute or 0) == int(second or 0) == 0:
        return (calendar_day + timedelta(days=1)).strftime("%Y%m%d"), "00"
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        raise ValueError
    return day, hour


def _offset(stated: str) -> str:
    """Return an offset from UTC as `+HHMM`. DICOM allows -1200 to +1400."""
    if not stated:
        return ""
    if stated == "Z":
        return "+0000"
    offset = stated.replace(":", "")
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    if int(offset[3:]) > 59 or minutes > (14 if offset[0] == "+" else 12) * 60:
        raise ValueError
    return offset if minutes else "+0000"


def _invalid(where: str | None) -> InvalidValue:
    place = parse_erl(where) if where else None
    return InvalidValue(field=place.path if place else "value", data_type="date and time", where=where)
