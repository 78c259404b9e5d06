"""What must hold of linkage whatever is said: symmetry, determinism, and no link against the patient."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.demographics import Person, compare, compare_birth_dates, compare_names
from engine.linkage.evidence import Candidate, StudyEvidence, StudyWorld, are_compatible
from engine.linkage.identity import KnownPatient, is_placeholder, person_of
from engine.linkage.match import Match, match_study
from engine.linkage.order import KnownOrder, OrderWorld, apply_order, order_numbers
from engine.linkage.policy import OrderPolicy
from engine.records.fact import OrderFact, RequestAttributes, StepFact
from engine.records.record import ImagingOrder, Patient, PatientIdentifier, RequestedProcedure, ScheduledStep
from engine.records.state import OrderState, StepState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

# few values, so that they meet often
names = st.sampled_from(["", "TEST^ALPHA", "TESD^ALPHA", "ALPHA^TEST", "TEST", "PROBE^BETA", "TEST^ALPHA=試験^一"])
dates = st.sampled_from(["", "19800504", "19800405", "1980", "19801231", "19700504", "19000101"])
sexes = st.sampled_from(["", "F", "M", "O"])
people = st.builds(Person, name=names, birth_date=dates, sex=sexes)
ids = st.sampled_from(["P0001", "P0002", "p0001", "", "UNKNOWN"])
issuers = st.sampled_from(["", "HOSP", "CLINIC"])
modalities = st.sampled_from(["CT", "MR", "PT", "SR", ""])
free_names = st.text(st.characters(codec="utf-8"), max_size=20)


@st.composite
def patients(draw: st.DrawFn) -> tuple[KnownPatient, ...]:
    """Return a few patients, some with the same number from another issuer."""
    found = []
    for row in range(1, draw(st.integers(1, 3)) + 1):
        said = draw(people)
        pair = (draw(ids.filter(bool)), draw(issuers))
        kept = Patient(
            id=RowId(row), name=said.name, birth_date=said.birth_date, sex=said.sex, updated_at=NOW, cause_id=RowId(99)
        )
        identifier = PatientIdentifier(
            id=RowId(row + 10), patient_id=kept.id, value=pair[0], issuer=pair[1], cause_id=RowId(99)
        )
        found.append(KnownPatient(patient=kept, identifiers=(identifier,)))
    return tuple(found)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[StudyEvidence, StudyWorld]:
    """Return what images say and what is known, both from the same few values."""
    known = draw(patients())
    meant = draw(st.sampled_from(known))
    often = st.integers(0, 3).map(bool)
    candidates = []
    for row in range(100, 100 + draw(st.integers(0, 4))):
        state = draw(st.sampled_from([OrderState.SCHEDULED, OrderState.CANCELLED, OrderState.COMPLETED]))
        order = ImagingOrder(
            id=RowId(draw(st.integers(90, 92))),
            patient_id=(meant if draw(often) else draw(st.sampled_from(known))).patient.id,
            state=state,
            placed_at=NOW - timedelta(days=draw(st.sampled_from([0, 40]))),
            cause_id=RowId(99),
        )
        procedure = RequestedProcedure(
            id=RowId(row),
            order_id=order.id,
            rp_id=draw(st.sampled_from(["RP1", "RP2"])),
            study_uid="2.25.1",
            state=state,
            cause_id=RowId(99),
        )
        step = ScheduledStep(
            id=RowId(row + 100),
            procedure_id=procedure.id,
            sps_id=draw(st.sampled_from(["S1", "S2"])),
            state=StepState.SCHEDULED,
            modality=draw(modalities),
            cause_id=RowId(99),
        )
        candidates.append(Candidate(procedure=procedure, order=order, steps=(step,)))
    evidence = StudyEvidence(
        study_uid="2.25.1",
        patient_id=meant.identifiers[0].value if draw(often) else draw(ids),
        issuer=meant.identifiers[0].issuer if draw(often) else draw(issuers),
        person=person_of(meant.patient) if draw(often) else draw(people),
        accession_number="ACC1",
        study_id=draw(st.sampled_from(["", "RP1"])),
        modalities=(draw(modalities),),
        requests=tuple(
            RequestAttributes(sps_id=sps_id) for sps_id in draw(st.lists(st.sampled_from(["S1", "S9"]), max_size=2))
        ),
    )
    by_uid = tuple(candidate for candidate in candidates if draw(st.booleans()))
    by_accession = tuple(candidate for candidate in candidates if draw(st.booleans()))
    owners = {candidate.order.patient_id for candidate in (*by_uid, *by_accession)}
    return evidence, StudyWorld(
        patients=tuple(each for each in known if each.identifiers[0].value == evidence.patient_id),
        by_uid=by_uid,
        by_accession=by_accession,
        owners=tuple(each for each in known if each.patient.id in owners),
    )


@given(free_names | names, free_names | names)
def test_comparing_names_is_symmetric(one: str, other: str) -> None:
    assert compare_names(one, other) is compare_names(other, one)


@given(st.text("0123456789 .", max_size=9) | dates, st.text("0123456789 .", max_size=9) | dates)
def test_comparing_birth_dates_is_symmetric(one: str, other: str) -> None:
    assert compare_birth_dates(one, other) is compare_birth_dates(other, one)


@given(people, people)
def test_comparing_people_is_symmetric(one: Person, other: Person) -> None:
    assert compare(one, other) == compare(other, one)


@given(st.lists(modalities).map(tuple), st.lists(modalities).map(tuple))
def test_comparing_modalities_is_symmetric(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert are_compatible(one, other) is are_compatible(other, one)


@given(worlds(), st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_the_order_in_which_the_world_was_loaded(
    both: tuple[StudyEvidence, StudyWorld], shuffle: st.DataObject
) -> None:
    evidence, world = both

    def shuffled(rows: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(shuffle.sample(rows, len(rows)))  # type: ignore[attr-defined]

    other = StudyWorld(**{name: shuffled(getattr(world, name)) for name in StudyWorld.__slots__})  # type: ignore[arg-type]

    assert match_study(evidence, other, NOW) == match_study(evidence, world, NOW)


@given(worlds())
def test_a_match_never_contradicts_the_patient_of_its_order(both: tuple[StudyEvidence, StudyWorld]) -> None:
    evidence, world = both

    found = match_study(evidence, world, NOW)

    if not isinstance(found, Match):
        return
    owner = next(known for known in world.owners if known.patient.id == found.patient.id)
    compared = compare(evidence.person, person_of(owner.patient))
    assert found.candidates
    assert {candidate.order.patient_id for candidate in found.candidates} == {found.patient.id}
    assert {each.order.patient_id for each in (*world.by_uid, *world.by_accession)} == {found.patient.id}
    assert all(candidate.procedure.state is not OrderState.CANCELLED for candidate in found.candidates)
    assert not compared.sex_conflict
    if evidence.patient_id:
        assert not is_placeholder(evidence.patient_id)
        (identifier,) = owner.identifiers
        assert identifier.value.casefold() == evidence.patient_id.casefold()
        assert evidence.issuer in ("", identifier.issuer)
    else:
        assert compared.name.value == compared.birth_date.value == "equal"


numbers = st.sampled_from([None, "77", "N" * 17])
texts = st.sampled_from([None, "", "A"])
steps = st.lists(st.builds(StepFact, sps_id=texts, modality=texts), max_size=3, unique_by=lambda step: step.sps_id)
facts = st.builds(
    OrderFact,
    control=st.sampled_from([None, "NW"]),
    status=st.sampled_from([None, "SC", "IP"]),
    placer_number=st.just("77"),
    filler_number=numbers,
    accession_number=numbers,
    rp_id=texts,
    study_uid=st.sampled_from([None, "2.25.1"]),
    code=st.sampled_from(["CTHEAD", "NOBODY KNOWS"]),
    modality=texts,
    scheduled_start=st.sampled_from([None, "2026", "20260302", "20260302103000+0900"]),
    priority=texts,
    steps=steps.map(tuple),
)


@given(facts)
def test_the_same_new_order_twice_is_applied_once(fact: OrderFact) -> None:
    rows = count(100)
    patient = Patient(id=RowId(1), updated_at=NOW, cause_id=RowId(99))
    policy = OrderPolicy(stations=lambda modality: ("CT1",))

    def change(cause: int) -> Change:
        later = NOW + timedelta(hours=cause)
        return Change(Act(now=later, cause_kind="message", cause_id=RowId(cause), new_id=lambda: RowId(next(rows))))

    first = apply_order(fact, patient, OrderWorld(), policy, change(1))
    assert isinstance(first, KnownOrder)
    found = {(each.kind, each.value, each.issuer) for each in first.identifiers}
    assert set(order_numbers(fact)) <= found
    procedures = tuple((procedure, first.order) for procedure in first.procedures)
    again = change(2)

    second = apply_order(fact, patient, OrderWorld(hits=(first,), uid_owners=procedures), policy, again)

    assert second == first
    assert (again.new, again.changed, again.events) == ({}, {}, [])
