"""Times as the JSON API writes them: ISO 8601, UTC, with Z."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload
from zoneinfo import ZoneInfo

_FORMS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@overload
def iso(moment: datetime) -> str: ...
@overload
def iso(moment: None) -> None: ...
@overload
def iso(moment: datetime | None) -> str | None: ...
def iso(moment: datetime | None) -> str | None:
    """Return an aware time as `2026-03-01T08:15:00.120Z`; None for none."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")


def iso_of_dicom(stated: str, timezone: ZoneInfo) -> str | None:
    """Return a DICOM DT of the site's local time as ISO 8601: in UTC, or the mere date when no hour is given.

    Source: DICOM PS3.5 table 6.2-1 (DT).
    """
    digits = stated.partition(".")[0]
    form = _FORMS.get(len(digits))
    if form is None or not digits.isdigit():
        return stated or None
    try:
        moment = datetime.strptime(digits, form).replace(tzinfo=timezone)
    except ValueError:
        return stated
    return moment.date().isoformat() if len(digits) == 8 else iso(moment)
