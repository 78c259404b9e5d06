"""Versions: which one is meant."""

import pytest

from engine.hl7.version import is_at_least, nearest_version, version_tuple


@pytest.mark.parametrize(
    ("stated", "nearest"),
    [("2.3.2", "2.3.1"), ("2.7.1", "2.7.1"), ("2.9", "2.9"), ("3.0", "2.9"), ("2.5", "2.5"), ("1.9", "2.1"),
     ("", "2.3.1"),
     ("2.x", "2.3.1"), ("2.5 ", "2.5"), ("2.10", "2.9")],
)  # fmt: skip
def test_nearest_version(stated: str, nearest: str) -> None:
    assert nearest_version(stated) == nearest


def test_nearest_among_those_a_library_has() -> None:
    assert nearest_version("2.9", ("2.5", "2.8.2")) == "2.8.2"
    assert nearest_version("2.1", ("2.5", "2.8.2")) == "2.5"


def test_comparing() -> None:
    assert is_at_least("2.5.1", (2, 5))
    assert not is_at_least("2.4", (2, 5))
    assert not is_at_least("", (2, 5))
    assert version_tuple("2.3.1") == (2, 3, 1)
