"""Why a question about records has no answer, or more than one."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.errors import PeerError
from engine.core.ids import RowId


class NotKept(PeerError):
    """WEB-111: nothing is kept under the number or name that was asked for."""

    code = "WEB-111"

    def __init__(self, record: str) -> None:
        super().__init__(f"no {record} here")


class SeveralOrders(PeerError):
    """WEB-120: orders of several issuers have this accession number; `choices` are (order, issuer)."""

    code = "WEB-120"

    def __init__(self, choices: Sequence[tuple[RowId, str]]) -> None:
        self.choices = tuple(choices)
        super().__init__(f"{len(choices)} orders have this accession number; choose one by its issuer")
