"""Data types of FHIR made of what the records hold, which are DICOM's: names, dates, times, identifiers.

Source: FHIR R4 datatypes.html; DICOM PS3.5 6.2 (PN, DA, TM, DT).
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Any

from engine.fhir.system import DCM, DICOM_UID, IDENTIFIER_TYPE, OID

_DATE = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d))?)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?)?([+-]\d\d)?(\d\d)?", re.ASCII)


def human_name(name: str) -> dict[str, Any]:
    """Return a HumanName of a DICOM PN value; its alphabetic group is read."""
    parts = [part.strip() for part in name.split("=", 1)[0].split("^")]
    family, given, middle, prefix, suffix = (*parts, "", "", "", "", "")[:5]
    made: dict[str, Any] = {}
    if family:
        made["family"] = family
    if given or middle:
        made["given"] = [part for part in (given, *middle.split()) if part]
    if prefix:
        made["prefix"] = [prefix]
    if suffix:
        made["suffix"] = [suffix]
    return made


def display_name(name: str) -> str:
    """Return a DICOM PN value as one would write it: `FAMILY, GIVEN`."""
    parts = [part.strip() for part in name.split("=", 1)[0].split("^")]
    return ", ".join(part for part in parts[:2] if part)


def date(value: str) -> str:
    """Return a FHIR date of YYYY[MM[DD]]; "" when it is none."""
    found = _DATE.fullmatch(value)
    return "-".join(part for part in found.groups() if part) if found else ""


def date_time(value: str, zone: tzinfo) -> str:
    """Return a FHIR dateTime of a DICOM DT value from a day on; "" when it is none.

    A time gets the seconds FHIR asks for, and the offset it states or else that of `zone` on that day.
    """
    found = _DATE_TIME.fullmatch(value)
    if found is None:
        return date(value)
    year, month, day, hour, minute, second, offset, of_minutes = found.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), min(int(second or 0), 59), tzinfo=zone
        )
    except ValueError:
        return ""
    if offset is not None and of_minutes is not None:
        return f"{local:%Y-%m-%dT%H:%M:%S}{offset}:{of_minutes}"
    return local.isoformat()


def instant(moment: datetime) -> str:
    """Return a FHIR instant [ms]."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(value: str, *, system: str = "", type_code: str = "", type_text: str = "") -> dict[str, Any]:
    """Return an Identifier; `type_code` is of table v2-0203."""
    made: dict[str, Any] = {}
    kind: dict[str, Any] = {}
    if type_code:
        kind["coding"] = [{"system": IDENTIFIER_TYPE, "code": type_code}]
    if type_text:
        kind["text"] = type_text
    if kind:
        made["type"] = kind
    if system:
        made["system"] = system
    made["value"] = value
    return made


def uid_identifier(uid: str) -> dict[str, Any]:
    """Return the Identifier of a DICOM UID. Source: FHIR R4 imagingstudy.html, identifiers."""
    return {"system": DICOM_UID, "value": f"{OID}{uid}"}


def modality(code: str) -> dict[str, Any]:
    """Return the Coding of a DICOM modality."""
    return {"system": DCM, "code": code}
