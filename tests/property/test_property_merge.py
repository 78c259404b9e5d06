"""Whatever is merged and renamed: everybody leads to one patient, and nothing hangs on a former one."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import PeerError
from engine.linkage.merge_world import MergeWorld
from engine.records.fact import MergePairFact
from engine.records.record import Hold, ImagingOrder
from engine.records.state import PatientState
from tests.unit.test_linkage_merge import Register, order, pair, said

VALUES = "ABCDEF"

values = st.sampled_from(VALUES)
pids = st.lists(values, min_size=1, max_size=2, unique=True)
pairs = st.builds(lambda pid, mrg: pair(said(*pid), *mrg), pids, pids)
messages = st.tuples(st.sampled_from(["A40", "A40", "A47"]), st.lists(pairs, min_size=1, max_size=2))


def check(world: MergeWorld) -> None:
    for patient in world.patients.values():
        steps = world.way(patient)
        assert len(steps) <= len(world.patients)
        assert steps[-1].state is PatientState.ACTIVE
        assert (patient.state is PatientState.MERGED) == (patient.merged_into is not None)
    for row in world.hanging.values():
        assert row.patient_id is not None
        assert world.patients[row.patient_id].state is PatientState.ACTIVE
    named = [(each.value, each.issuer) for each in world.identifiers.values()]
    assert len(named) == len(set(named))
    for patient in world.patients.values():
        if patient.state is PatientState.ACTIVE:
            assert sum(each.is_primary for each in world.known(patient).identifiers) == 1


def send(register: Register, event: str, of: list[MergePairFact]) -> bool:
    """Send as the broker does: what is refused or held leaves the world as it was. Return whether it was applied."""
    kept = register.world
    register.world = replace(
        kept, patients=dict(kept.patients), identifiers=dict(kept.identifiers), hanging=dict(kept.hanging)
    )
    try:
        applied = not isinstance(register.send(*of, event=event), Hold)
    except PeerError:
        applied = False
    if not applied:
        register.world = kept
    return applied


@given(st.lists(messages, max_size=8))
def test_everything_hangs_on_somebody_who_is_active(sent: list[tuple[str, list[MergePairFact]]]) -> None:
    register = Register(*VALUES[:4]).has(*(order(row + 10, row) for row in range(1, 5)))

    for event, of in sent:
        send(register, event, of)
        check(register.world)

    assert {row for row, each in register.world.hanging.items() if isinstance(each, ImagingOrder)} == {11, 12, 13, 14}


@given(st.lists(messages, max_size=3), messages)
def test_what_was_sent_twice_leads_where_it_led(
    before: list[tuple[str, list[MergePairFact]]], twice: tuple[str, list[MergePairFact]]
) -> None:
    register = Register(*VALUES[:4])
    for event, of in before:
        send(register, event, of)
    if not send(register, *twice):
        return
    named = [each for pair in twice[1] for each in (*pair.patient.identifiers, *pair.prior_identifiers)]
    led = {each.value: register.world.survivor(register.owner(each.value)).id for each in named}

    if send(register, *twice):
        assert {value: register.world.survivor(register.owner(value)).id for value in led} == led
