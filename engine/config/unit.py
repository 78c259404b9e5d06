"""Durations and sizes as people write them: `30s`, `72h`, `64KiB`."""

from __future__ import annotations

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def duration_s(value: object) -> object:
    """Return a duration in seconds [s]; what is not text passes through.

    Raises:
        ValueError: the text is not a number with one of the units ms, s, m, h, d.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    if not isinstance(value, str):
        return float(value)
    return _number(value, _SECONDS, "a duration, for example 30s")


def size_bytes(value: object) -> object:
    """Return a size in bytes; what is not text passes through.

    Raises:
        ValueError: the text is not a number with one of the units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB.
    """
    if not isinstance(value, str):
        return value
    return int(_number(value, _BYTES, "a size, for example 64MiB"))


def _number(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    digits = text.strip().rstrip("BKMGTikmshd")
    unit = text.strip()[len(digits) :]
    try:
        number = float(digits.strip())
    except ValueError as cause:
        raise ValueError(wanted) from cause
    if unit not in units or not 0 <= number < float("inf"):
        raise ValueError(wanted)
    return number * units[unit]
