"""What a message makes of the state of a report, and whether it came too late to count.

Source: spec/workflow.md section 4.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.linkage.result import UNCHANGED, WITHDRAWN, Row
from engine.records.explicit import plain
from engine.records.fact import ReportFact
from engine.records.state import ReportState as S

RESULT, STATUS, ADDENDUM, EDIT, REPLACE, WITHDRAW = "RESULT", "STATUS", "ADDENDUM", "EDIT", "REPLACE", "WITHDRAW"
"""Words of `ReportFact.act`."""

_RANK = {S.SCHEDULED: 0, S.DRAFT: 1, S.PRELIMINARY: 2, S.FINAL: 3, S.CORRECTED: 3, S.ADDENDUM: 3}
_FINISHED = 3
_LEAST_FIRST = (S.SCHEDULED, S.DRAFT, S.PRELIMINARY)

EVENTS = {
    S.PRELIMINARY: "report.preliminary",
    S.FINAL: "report.final",
    S.CORRECTED: "report.corrected",
    S.ADDENDUM: "report.addended",
    S.CANCELLED: "report.cancelled",
    S.WITHDRAWN: "report.withdrawn",
}
"""What is told when a report takes a state; a draft is nobody's business yet."""


def act_of(said: ReportFact) -> str:
    """Return what the sender does; a result by default."""
    return plain(said.act) or RESULT


def stated_state(said: ReportFact, rows: Sequence[Row], before: S | None) -> S:
    """Return the state that a message gives to its report.

    The report's own status counts; without one, that of its rows: the least finished one of them.
    """
    act = act_of(said)
    if act == WITHDRAW:
        return S.WITHDRAWN
    stated = plain(said.availability) or plain(said.status)
    state = S.FINAL if stated == UNCHANGED else S(stated) if stated else _of_rows(rows)
    if state is None:
        state = before if before is not None and act in (STATUS, EDIT, ADDENDUM) else S.DRAFT
    if not _is_finished(state):
        return state
    if act == ADDENDUM or any(row.is_addendum and row.status != WITHDRAWN for row in rows):
        return S.ADDENDUM
    return S.CORRECTED if act == REPLACE else state


def _is_finished(state: S) -> bool:
    return _RANK.get(state) == _FINISHED


def _of_rows(rows: Sequence[Row]) -> S | None:
    statuses = {row.status for row in rows if row.status}
    for state in _LEAST_FIRST:
        if state.value in statuses:
            return state
    if S.CORRECTED.value in statuses:
        return S.CORRECTED
    if statuses & {S.FINAL.value, UNCHANGED, WITHDRAWN}:
        return S.FINAL
    return S.CANCELLED if statuses else None


def is_late(state: S, issued: str, before: S, issued_before: str) -> bool:
    """Whether a version came after what it precedes: less finished than the current one, or issued earlier.

    An issue time counts only where both versions state one, in the same zone.
    """
    if state.is_void:
        return False
    rank, rank_before = _RANK[state], _RANK.get(before, _FINISHED)
    if rank != rank_before:
        return rank < rank_before
    return _is_earlier(issued, issued_before)


def _is_earlier(issued: str, before: str) -> bool:
    mine, theirs = issued.partition("+")[0].partition("-")[0], before.partition("+")[0].partition("-")[0]
    if not mine or not theirs or issued[len(mine) :] != before[len(theirs) :]:
        return False
    known = min(len(mine), len(theirs))
    return mine[:known] < theirs[:known]
