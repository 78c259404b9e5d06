"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from engine.config.unit import duration_s, size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5 s", 1.5), ("5m", 300), ("72h", 259200), ("7d", 604800), (12, 12), (0.5, 0.5)],
)
def test_durations(text: object, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("64KiB", 65536), ("20MB", 20_000_000), ("4 GiB", 4 * 2**30), ("1TB", 10**12), (512, 512)],
)
def test_sizes(text: object, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "s", "30", "30 sec", "-1s", "1e999s", "infs", "nans", "1..2s", "5M"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration, for example 30s"):
        duration_s(text)


@pytest.mark.parametrize("text", ["", "KiB", "30", "30kb", "-1MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="a size, for example 64MiB"):
        size_bytes(text)


@pytest.mark.parametrize("value", [None, True, [1]])
def test_other_types_are_left_to_the_field(value: object) -> None:
    assert duration_s(value) is value
    assert size_bytes(value) is value
