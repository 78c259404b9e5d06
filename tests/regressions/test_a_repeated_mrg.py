"""Found by fuzzing: an identifier that MRG-1 states twice broke a rule of the database."""

from __future__ import annotations

import pytest

from tests.contract.test_broker_intake import Desk, desk

__all__ = ["desk"]


@pytest.mark.parametrize("event", ["A18", "A40", "A47"])
async def test_an_identifier_stated_twice_in_mrg_is_merged_once(desk: Desk, event: str) -> None:
    body = (
        f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121090000||ADT^{event}|M1|P|2.5\rEVN|{event}|20261121090000\r"
        "PID|1||P1^^^HOSP||TEST^ALPHA\rMRG|P2^^^HOSP~P2^^^HOSP\r"
    )

    assert await desk.codes(body) == ["AA"]
