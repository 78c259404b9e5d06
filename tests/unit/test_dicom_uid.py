"""UIDs: what is taken, what is made."""

from __future__ import annotations

import pytest

from engine.dicom.implementation import IMPLEMENTATION_UID
from engine.dicom.uid import derived_uid, is_strict_uid, is_uid, new_uid


@pytest.mark.parametrize("text", ["1.2.840.10008.1.1", "1.02.3", "1", "." * 64, "9" * 64])
def test_digits_and_dots_are_taken(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize("text", ["", "1.2.x", "1.2 ", "1.2\n", "1" * 65, "١.٢"])
def test_anything_else_is_no_uid(text: str) -> None:
    assert not is_uid(text)


@pytest.mark.parametrize("text", ["1.02.3", "1", "1..2", ".1", "1.", "1.2" + ".3" * 31 + ".44"])
def test_the_strict_rule_refuses_what_the_standard_forbids(text: str) -> None:
    assert not is_strict_uid(text)


def test_a_derived_uid_is_always_the_same() -> None:
    assert derived_uid("HOSP", "A123", "RP1") == "2.25.223795731370036192252568101636758725725"


def test_derived_parts_cannot_run_into_each_other() -> None:
    assert derived_uid("AB", "C") != derived_uid("A", "BC")
    assert derived_uid("A", "") != derived_uid("A")


def test_our_own_uids_keep_every_rule() -> None:
    assert all(map(is_strict_uid, (IMPLEMENTATION_UID, derived_uid("x"), new_uid(), "1.2.840.10008.1.1")))
    assert new_uid() != new_uid()
