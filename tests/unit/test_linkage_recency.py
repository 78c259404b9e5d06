"""When something was recorded, however precisely it was said."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from engine.linkage.recency import recorded
from engine.records.explicit import NULL, Stated

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("stated", "first", "last"),
    [
        ("20260301", "2026-02-28T23:00:00+00:00", "2026-03-01T22:59:59.999999+00:00"),
        ("2026030108", "2026-03-01T07:00:00+00:00", "2026-03-01T07:59:59.999999+00:00"),
        ("202603010815", "2026-03-01T07:15:00+00:00", "2026-03-01T07:15:59.999999+00:00"),
        ("20260301081530", "2026-03-01T07:15:30+00:00", "2026-03-01T07:15:30.999999+00:00"),
        ("20260301081530+0000", "2026-03-01T08:15:30+00:00", "2026-03-01T08:15:30.999999+00:00"),
        ("20260301081560", "2026-03-01T07:15:59+00:00", "2026-03-01T07:15:59.999999+00:00"),
        ("20260301081530.25", "2026-03-01T07:15:30.250000+00:00", "2026-03-01T07:15:30.250000+00:00"),
        (" 20260301081530 ", "2026-03-01T07:15:30+00:00", "2026-03-01T07:15:30.999999+00:00"),
    ],
)
def test_a_time_is_a_stretch_as_long_as_it_was_said_precisely(stated: str, first: str, last: str) -> None:
    found = recorded(stated, NOW, BERLIN)

    assert found is not None
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)


@pytest.mark.parametrize(
    "stated", [None, NULL, "", "2026", "202603", "20260230", "2026030125", "yesterday", "20260304"]
)
def test_what_is_no_time_or_far_in_the_future_says_nothing(stated: Stated) -> None:
    assert recorded(stated, NOW) is None


@pytest.mark.parametrize(
    ("stated", "is_older"),
    [
        ("20260301081529", True),
        ("20260301081530", False),
        ("20260301", False),  # it may have been later that day
        ("20260228", True),
    ],
)
def test_older_is_only_what_certainly_is(stated: str, is_older: bool) -> None:  # a column of the table
    found = recorded(stated, NOW)

    assert found is not None
    assert found.is_older_than(datetime(2026, 3, 1, 8, 15, 30, tzinfo=UTC)) is is_older
    assert not found.is_older_than(None)
