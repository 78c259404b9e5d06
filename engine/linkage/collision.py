"""What two patients both have and only one can: numbers of studies and orders that collide when the two become one.

Source: spec/reconcile.md section 10.
"""

from __future__ import annotations

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.merge_world import MergeWorld
from engine.records.record import Patient, Study
from engine.records.state import Danger

ACCESSION = "accession_of_both_patients"
UID = "uid_of_both_patients"
COLLISIONS = frozenset({ACCESSION, UID})
"""Codes of these holds; while one is open the study is not linked."""


def hold_collisions(subsumed: Patient, survivor: Patient, world: MergeWorld, change: Change) -> None:
    """Hold the studies of both patients under one accession number, and orders of both under one Study Instance UID.

    The merge itself is applied. An accession number of another issuer is another number; an issuer that nobody says
    is no difference.
    """
    mine, theirs = _studies(survivor, world), _studies(subsumed, world)
    for study in (*mine, *theirs):
        others = theirs if study in mine else mine
        other = next((each for each in others if _same_accession(study, each)), None)
        if other is not None:
            change.hold(
                ACCESSION,
                Danger.RED,
                "two patients were merged, and both have a study with this accession number",
                {"studies": sorted((study.id, other.id))},
                patient_id=survivor.id,
                study_id=study.id,
            )
    _hold_shared_uids(subsumed, survivor, world, change)


def _studies(patient: Patient, world: MergeWorld) -> list[Study]:
    return [row for row in world.rows_of(patient) if isinstance(row, Study)]


def _same_accession(one: Study, other: Study) -> bool:
    mine, theirs = one.accession_number.strip().casefold(), other.accession_number.strip().casefold()
    if not mine or mine != theirs:
        return False
    return "" in (one.accession_issuer, other.accession_issuer) or one.accession_issuer == other.accession_issuer


def _hold_shared_uids(subsumed: Patient, survivor: Patient, world: MergeWorld, change: Change) -> None:
    owner = {order.id: order.patient_id for patient in (survivor, subsumed) for order in world.orders_of(patient)}
    studies = {row.study_uid: row.id for row in world.hanging.values() if isinstance(row, Study)}
    of_uid: dict[str, list[RowId]] = {}
    for procedure in world.procedures.values():
        if procedure.order_id in owner and procedure.study_uid:
            of_uid.setdefault(procedure.study_uid, []).append(procedure.order_id)
    for study_uid, orders in of_uid.items():
        if len({owner[order] for order in orders}) > 1:
            change.hold(
                UID,
                Danger.RED,
                "two patients were merged, and both have an order with this Study Instance UID",
                {"orders": sorted(set(orders))},
                patient_id=survivor.id,
                order_id=min(orders),
                study_id=studies.get(study_uid),
            )
