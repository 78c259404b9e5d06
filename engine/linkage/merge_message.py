"""What an ADT of the merge family asks for; all of its pairs or none.

Source: spec/hl7.md section 8; HL7 v2.5.1 chapter 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from enum import StrEnum

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.errors import NoPair, UnknownMerge
from engine.linkage.merge import Merger
from engine.linkage.merge_visit import merge_visits, move_visit, rename_visit
from engine.linkage.merge_world import MergeWorld, Objection
from engine.records.explicit import plain
from engine.records.fact import MergeFact, MergePairFact
from engine.records.record import Hold, Patient


class MergeAction(StrEnum):
    """What becomes of a pair."""

    MERGE = "merge patients"
    MERGE_WITH_VISIT = "merge patients, and their visits if both are named"
    RENAME = "rename an identifier"
    MERGE_VISIT = "merge visits"
    RENAME_VISIT = "rename a visit"
    MOVE_VISIT = "move a visit to another patient"
    ASK = "a person decides"


ACTIONS: dict[str, MergeAction] = {
    "A18": MergeAction.MERGE,
    "A30": MergeAction.MERGE,
    "A34": MergeAction.MERGE,
    "A35": MergeAction.MERGE_VISIT,
    "A36": MergeAction.MERGE_WITH_VISIT,
    "A39": MergeAction.MERGE,
    "A40": MergeAction.MERGE,
    "A41": MergeAction.MERGE_VISIT,
    "A42": MergeAction.MERGE_VISIT,
    "A43": MergeAction.ASK,
    "A44": MergeAction.MOVE_VISIT,
    "A45": MergeAction.MOVE_VISIT,
    "A46": MergeAction.RENAME,
    "A47": MergeAction.RENAME,
    "A49": MergeAction.RENAME_VISIT,
    "A50": MergeAction.RENAME_VISIT,
}
"""ADT trigger → action."""


def _merge_with_visit(merger: Merger, pair: MergePairFact) -> Objection | RowId:
    survivor = merger.merge_patients(pair)
    if isinstance(survivor, Objection) or not (pair.prior_visit_number and pair.patient.visit):
        return survivor
    return merge_visits(merger, pair)


def _ask(merger: Merger, pair: MergePairFact) -> Objection | RowId:
    named = merger.world.owners(pair.patient.identifiers)
    return Objection(
        code="identifiers_moved",
        reason="identifiers are to be moved from one patient to another; what hangs on them is for a person to decide",
        patient_id=merger.world.survivor(named[0]).id if named else None,
    )


_PERFORM: dict[MergeAction, Callable[[Merger, MergePairFact], Objection | RowId]] = {
    MergeAction.MERGE: Merger.merge_patients,
    MergeAction.MERGE_WITH_VISIT: _merge_with_visit,
    MergeAction.RENAME: Merger.rename_identifier,
    MergeAction.MERGE_VISIT: merge_visits,
    MergeAction.RENAME_VISIT: rename_visit,
    MergeAction.MOVE_VISIT: move_visit,
    MergeAction.ASK: _ask,
}


def apply_merge(
    said: MergeFact, world: MergeWorld, change: Change, *, timezone: tzinfo = UTC
) -> tuple[RowId, ...] | Hold:
    """Return the patients that survive, in the order of the pairs; or the hold that says why a person must look.

    Args:
        said: The event and its pairs.
        world: Every record that the pairs name, with all that hangs on it.
        change: Where the decision is written: of all pairs, or only the hold.
        timezone: The site's, for times said without an offset.

    Raises:
        UnknownMerge: the event is not one of the family.
        NoPair: the message names nobody.
        SamePatient: a pair names the same patient, or the same visit, twice.
        CircularMerge: a merge would close a ring.
        IdentifierInUse: an identifier is renamed to that of another patient or visit.
        NoVisitNumber: visits are meant, and one is not named.
    """
    action = ACTIONS.get(plain(said.event).upper())
    if action is None:
        raise UnknownMerge("the event merges, renames and moves nothing", where="MSH^1^9^1^2")
    if not said.pairs:
        raise NoPair("PID is required", where="PID^1")
    trial = Change(change.act)
    survivors: list[RowId] = []
    for position, pair in enumerate(said.pairs, start=1):
        merger = Merger(world=world, change=trial, timezone=timezone, position=position)
        done = _PERFORM[action](merger, pair)
        if isinstance(done, Objection):
            return _held(done, position, len(said.pairs), change)
        survivors.append(done)
    for record in sorted(trial.new.values(), key=lambda record: not isinstance(record, Patient)):
        change.create(record)  # patients first: the other new rows refer to them
    for record in trial.changed.values():
        change.alter(record)
    change.events.extend(trial.events)
    change.holds.extend(trial.holds)
    change.notes.extend(dict.fromkeys(trial.notes))
    return tuple(survivors)


def _held(objection: Objection, position: int, pairs: int, change: Change) -> Hold:
    which = f" (pair {position} of {pairs}; none was applied)" if pairs > 1 else ""
    return change.hold(
        objection.code,
        objection.danger,
        f"{objection.reason}{which}",
        objection.evidence,
        patient_id=objection.patient_id,
    )
