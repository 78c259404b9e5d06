"""When registration recorded something, by its own clock, so that what comes late does not undo what is newer.

Source: spec/hl7.md section 4 (MSH-7) and section 14 item 15.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from engine.records.explicit import Stated, plain

_TS = re.compile(
    r"(?P<day>\d{8})(?P<hour>\d\d)?(?P<minute>\d\d)?(?P<second>\d\d)?(?:\.(?P<fraction>\d{1,6})\d*)?(?P<offset>[+-]\d{4})?",
    re.ASCII,
)
_AHEAD = timedelta(days=1)
"""A time further in the future than this is a clock gone wrong: taken for nothing said, or it would block for years."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stretch of time that a stated time may mean: a day is 24 hours, a second is one."""

    first: datetime
    last: datetime

    def is_older_than(self, kept: datetime | None) -> bool:
        """Whether this was certainly recorded before `kept`."""
        return kept is not None and self.last < kept


def recorded(stated: Stated, now: datetime, timezone: tzinfo = UTC) -> Recorded | None:
    """Return what an HL7 TS means; None for nothing, less than a day, no date, or a time far in the future.

    Args:
        stated: The time; without an offset it is of `timezone`.
        now: By our clock.
        timezone: The site's.
    """
    found = _TS.fullmatch(plain(stated).strip())
    if found is None:
        return None
    hour, minute, second = found["hour"] or "", found["minute"] or "", found["second"] or ""
    text = f"{found['day']}{hour or '00'}{minute or '00'}{min(second or '00', '59')}"
    try:
        first = datetime.strptime(text + (found["offset"] or "+0000"), "%Y%m%d%H%M%S%z")
    except ValueError:
        return None
    if found["offset"] is None:
        first = first.replace(tzinfo=timezone)
    first = first.astimezone(UTC) + timedelta(microseconds=int(f"{found['fraction'] or '0':0<6}"))
    if first > now + _AHEAD:
        return None
    lasts = timedelta(seconds=1) if second else timedelta(minutes=1) if minute else timedelta(hours=1)
    if not hour:
        lasts = timedelta(days=1)
    if found["fraction"]:
        lasts = timedelta(microseconds=1)
    return Recorded(first, first + lasts - timedelta(microseconds=1))
