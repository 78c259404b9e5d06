"""How two patient records become one, and how an identifier becomes history.

PID names the survivor, MRG what disappears; the direction is never deduced from anything else. A former identifier
keeps a record of its own that leads to the survivor, so that whoever still uses it is understood.
Source: spec/hl7.md section 8, spec/reconcile.md section 10; HL7 v2.5.1 chapter 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.collision import hold_collisions
from engine.linkage.errors import CircularMerge, IdentifierInUse, SamePatient
from engine.linkage.identity import KnownPatient, is_placeholder
from engine.linkage.merge_world import Hanging, MergeWorld, Objection
from engine.linkage.patient import register
from engine.records.explicit import plain
from engine.records.fact import IdentifierFact, MergePairFact, PatientFact
from engine.records.record import (
    Hold,
    ImagingOrder,
    Patient,
    PatientIdentifier,
    PatientMerge,
    Record,
    Study,
    Visit,
)
from engine.records.report import Report
from engine.records.schedule import Appointment
from engine.records.state import HoldState, PatientState

_TABLES: dict[type[Hanging], str] = {
    ImagingOrder: "imaging_order",
    Study: "study",
    Visit: "visit",
    Report: "report",
    Appointment: "appointment",
    Hold: "hold",
}
"""What `PatientMerge.moved` calls them."""
_COUNTED = (("imaging_order", "order", "orders"), ("study", "study", "studies"), ("report", "report", "reports"))
_NOBODY = Objection(
    code="patient_id_missing",
    reason="one side of the merge is no patient: its patient ID is a placeholder (rule A12)",
    evidence={"rule": "A12"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The identifiers of a pair, sorted out: `prior` are those that become history."""

    patient: tuple[IdentifierFact, ...]
    prior: tuple[IdentifierFact, ...]


@dataclass(slots=True)
class Merger:
    """Decides about the pairs of one message, one after the other. `position` counts them from 1."""

    world: MergeWorld
    change: Change
    timezone: tzinfo = UTC
    position: int = 1

    def merge_patients(self, pair: MergePairFact) -> Objection | RowId:
        """Lead everything of the MRG identifiers to the patient of PID; return the survivor.

        Raises:
            SamePatient: MRG names nothing that PID does not name.
            CircularMerge: PID was merged into the patient of MRG by way of a third.
        """
        return self._lead(pair, renames=False)

    def rename_identifier(self, pair: MergePairFact) -> Objection | RowId:
        """Make the MRG identifiers of a patient history and those of PID valid; return the patient.

        Raises:
            SamePatient: MRG names nothing that PID does not name.
            IdentifierInUse: an identifier of PID belongs to another patient: this is really a merge.
        """
        return self._lead(pair, renames=True)

    def _lead(self, pair: MergePairFact, *, renames: bool) -> Objection | RowId:
        world = self.world
        names = self._names(pair)
        if isinstance(names, Objection):
            return names
        named, prior = world.owners(names.patient), world.owners(names.prior)
        objection = self._reversed(named, prior)
        if objection is not None:
            return objection
        target = self._target(named, prior, renames=renames)
        if isinstance(target, Objection):
            return target
        done_before = [record for record in prior if self._leads_to(record, named)]
        for record in prior:
            objection = self._elsewhere(record, target, done_before, renames=renames)
            if objection is not None:
                return objection
        unknown = [said for said in names.prior if world.identifier(said) is None]
        nothing_new = not unknown and all(world.identifier(said) is not None for said in names.patient)
        if target is not None and len(done_before) == len(prior) and nothing_new:
            self.change.notes.append("the records were merged before")
            return world.survivor(target).id
        survivor = self._describe(pair.patient, names, target, named, prior)
        for record in prior:
            if record.id == survivor.id:
                self._retire(names.prior, survivor)
            elif world.survivor(record).id != survivor.id:
                self._subsume(world.patients[record.id], survivor, names)
        self._bury(unknown, pair, [record for record in prior if record.id != survivor.id], survivor)
        self._name_primary(names.patient, survivor)
        return survivor.id

    def describe(self, pair: MergePairFact) -> Objection | Patient:
        """Return the patient of PID, created or described anew, for what merges or moves visits only."""
        identifiers = tuple(each for each in pair.patient.identifiers if not is_placeholder(each.value))
        if not identifiers:
            return _NOBODY
        named = self.world.owners(identifiers)
        target = self._target(named, (), renames=False)
        if isinstance(target, Objection):
            return target
        return self._describe(pair.patient, Names(patient=identifiers, prior=()), target, named, ())

    def _names(self, pair: MergePairFact) -> Names | Objection:
        said = {(each.value, each.issuer) for each in pair.patient.identifiers}
        stated = {(each.value, each.issuer): each for each in pair.prior_identifiers}  # some senders repeat one
        prior = tuple(each for key, each in stated.items() if key not in said)
        if not prior:
            raise SamePatient("MRG-1 names the patient of PID-3", where=f"MRG^{self.position}^1")
        people = (pair.patient.identifiers, prior)
        if any(all(is_placeholder(each.value) for each in named) for named in people):
            return _NOBODY
        return Names(
            patient=tuple(each for each in pair.patient.identifiers if not is_placeholder(each.value)),
            prior=tuple(each for each in prior if not is_placeholder(each.value)),
        )

    def _reversed(self, named: Sequence[Patient], prior: Sequence[Patient]) -> Objection | None:
        """Whether PID was itself merged into what MRG names."""
        if any(record.merged_into is None for record in named):
            return None
        ends = {record.id for record in prior}
        for record in named:
            way = [each.id for each in self.world.way(record)]
            reached = [steps for steps, row in enumerate(way) if steps and row in ends]
            if not reached:
                continue
            if min(reached) > 1:
                raise CircularMerge("the patient of PID was merged into that of MRG", where=f"PID^{self.position}^3")
            return Objection(
                code="merge_reversed",
                reason="the patient of PID was merged into that of MRG before; now the other way round",
                evidence={"survivor": record.id, "subsumed": way[1]},
                patient_id=self.world.survivor(record).id,
            )
        return None

    def _target(
        self, named: Sequence[Patient], prior: Sequence[Patient], *, renames: bool
    ) -> Patient | Objection | None:
        """Return the record that survives; None when PID is unknown."""
        rows = {record.id for record in prior}
        own = [record for record in named if record.id not in rows] or list(named) or (list(prior) if renames else [])
        ends = {survivor.id: survivor for survivor in map(self.world.survivor, own)}
        if len(ends) > 1:
            if renames and named:
                raise IdentifierInUse("PID-3 belongs to another patient", where=f"PID^{self.position}^3")
            return Objection(
                code="identifiers_of_several_patients",
                reason=f"the identifiers of {'MRG' if not named else 'PID'} belong to {len(ends)} patients",
                evidence={"patients": sorted(ends)},
                patient_id=min(ends),
            )
        return next(iter(ends.values()), None)

    def _leads_to(self, record: Patient, named: Sequence[Patient]) -> bool:
        """Whether a record was merged into one of these, or into the same third one, before."""
        ahead = {each.id for each in self.world.way(record)[1:]}
        return any(ahead & {each.id for each in self.world.way(one)} for one in named)

    def _elsewhere(
        self, record: Patient, target: Patient | None, done_before: Sequence[Patient], *, renames: bool
    ) -> Objection | None:
        survivor = self.world.survivor(record)
        if target is not None and survivor.id == target.id:
            return None
        if renames:
            raise IdentifierInUse("PID-3 belongs to another patient", where=f"PID^{self.position}^3")
        if record in done_before or survivor.id == record.id:
            return None
        return Objection(
            code="merged_elsewhere",
            reason="the patient of MRG was merged into a third one before",
            evidence={"patients": [row for row in (target.id if target else None, survivor.id) if row is not None]},
            patient_id=survivor.id,
        )

    def _describe(
        self,
        said: PatientFact,
        names: Names,
        target: Patient | None,
        named: Sequence[Patient],
        prior: Sequence[Patient],
    ) -> Patient:
        """Return the survivor, created or described anew, without the identifiers that a subsumed record has yet."""
        gone = {record.id for record in prior if target is None or self.world.survivor(record).id != target.id}
        identifiers = tuple(
            each for each in names.patient if (owner := self.world.owner(each)) is None or owner.id not in gone
        )
        hits: tuple[KnownPatient, ...] = ()
        if target is not None:
            redirected = bool(named) and all(record.id != target.id for record in named)
            hits = (self.world.known(target, redirected=redirected),)
        found = register(
            replace(said, identifiers=identifiers), hits, self.change, registrar=True, timezone=self.timezone
        )
        assert isinstance(found, KnownPatient)  # one hit at most, and no placeholder
        self.world.learn([found.patient, *found.identifiers])
        return found.patient

    def _subsume(self, record: Patient, survivor: Patient, names: Names) -> None:
        change, world = self.change, self.world
        hold_collisions(record, survivor, world, change)
        self.alter(replace(record, state=PatientState.MERGED, merged_into=survivor.id))
        moved: dict[str, list[RowId]] = {}
        for said in names.patient:  # what PID still calls the patient by stays valid
            identifier = world.identifier(said)
            if identifier is not None and identifier.patient_id == record.id:
                self.alter(replace(identifier, patient_id=survivor.id, is_primary=False))
                moved.setdefault("patient_identifier", []).append(identifier.id)
        for row in world.rows_of(record):
            if isinstance(row, Hold) and row.state is not HoldState.OPEN:
                continue
            self.alter(replace(row, patient_id=survivor.id))
            moved.setdefault(_TABLES[type(row)], []).append(row.id)
            if isinstance(row, ImagingOrder):
                change.event("order.patient_changed", "records merged", patient_id=survivor.id, order_id=row.id)
            elif isinstance(row, Study):
                change.event("study.patient_changed", "records merged", patient_id=survivor.id, study_id=row.id)
        self.remember("record", survivor.id, record.id, moved)
        change.event("patient.merged", _what_came(moved), patient_id=survivor.id)

    def _retire(self, said: Sequence[IdentifierFact], survivor: Patient) -> None:
        """Give identifiers of the survivor that are history a record of their own."""
        found = [self.world.identifier(each) for each in said]
        identifiers = [each for each in found if each is not None and each.patient_id == survivor.id]
        former = self._former(survivor.id, name=survivor.name, like=survivor)
        for identifier in identifiers:
            self.alter(replace(identifier, patient_id=former.id))
        moved = {"patient_identifier": [identifier.id for identifier in identifiers]}
        self.remember("identifier", survivor.id, former.id, moved)
        self.change.event("patient.identifier_retired", patient_id=survivor.id)

    def _bury(
        self, unknown: Sequence[IdentifierFact], pair: MergePairFact, prior: Sequence[Patient], survivor: Patient
    ) -> None:
        """Keep identifiers that nobody knew, so that late messages under them are understood."""
        if not unknown:
            return
        if prior:
            record = prior[0]
        else:
            record = self._former(survivor.id, name=plain(pair.prior_name))
            self.remember("record", survivor.id, record.id, {})
            self.change.notes.append("the patient of MRG was not known; what comes under its ID goes to the survivor")
            self.change.event("patient.merged", "a record that was not known here", patient_id=survivor.id)
        for said in unknown:
            identifier = PatientIdentifier(
                id=self.change.act.new_id(),
                patient_id=record.id,
                value=said.value,
                issuer=said.issuer,
                type_code=said.type_code,
                cause_id=self.change.act.cause_id,
            )
            self.change.create(identifier)
            self.world.learn([identifier])

    def _former(self, survivor_id: RowId, *, name: str, like: Patient | None = None) -> Patient:
        act = self.change.act
        former = Patient(
            id=act.new_id(),
            state=PatientState.MERGED,
            name=name,
            birth_date=like.birth_date if like else "",
            sex=like.sex if like else "",
            merged_into=survivor_id,
            updated_at=act.now,
            cause_id=act.cause_id,
        )
        self.change.create(former)
        self.world.learn([former])
        return former

    def _name_primary(self, said: Sequence[IdentifierFact], survivor: Patient) -> None:
        """A patient whose first identifier became history goes by the first that PID names."""
        mine = [each for each in self.world.identifiers.values() if each.patient_id == survivor.id]
        if any(each.is_primary for each in mine):
            return
        named = [found for each in said if (found := self.world.identifier(each)) in mine and found is not None]
        for identifier in (named or mine)[:1]:
            self.alter(replace(identifier, is_primary=True))

    def alter(self, record: Record) -> None:
        """Write a record in its new form, and know it so for the next pair."""
        self.change.alter(record)
        self.world.learn([record])

    def remember(self, kind: str, survivor_id: RowId, subsumed_id: RowId, moved: dict[str, list[RowId]]) -> None:
        """Keep what was moved, so that it can be moved back."""
        act = self.change.act
        self.change.create(
            PatientMerge(
                id=act.new_id(),
                kind=kind,
                survivor_id=survivor_id,
                subsumed_id=subsumed_id,
                moved=moved,
                at=act.now,
                cause_id=act.cause_id,
            )
        )


def _what_came(moved: dict[str, list[RowId]]) -> str:
    came = [
        f"{len(moved[table])} {one if len(moved[table]) == 1 else many}"
        for table, one, many in _COUNTED
        if table in moved
    ]
    return f"another record, with {', '.join(came)}" if came else "another record, with nothing on it"
