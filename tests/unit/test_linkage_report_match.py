"""Which order a report is about: rule by rule, and every reason why a person must look (spec/reconcile.md 4, 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.evidence import Candidate
from engine.linkage.identity import KnownPatient
from engine.linkage.match import Conflict
from engine.linkage.report_identity import KnownReport
from engine.linkage.report_match import ReportMatch, ReportUnmatched, ReportWorld, match_report, other_patient
from engine.records.fact import IdentifierFact, PatientFact, ReportFact
from engine.records.record import ImagingOrder, Patient, PatientIdentifier, RequestedProcedure, Study
from engine.records.report import Report, ReportIdentifier
from engine.records.state import Danger, OrderState, ReportState, StudyState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ALPHA, BETA = RowId(1), RowId(2)


def patient(row: RowId = ALPHA, name: str = "TEST^ALPHA", number: str = "P1") -> KnownPatient:
    return KnownPatient(
        patient=Patient(id=row, name=name, birth_date="19800229", sex="F", updated_at=NOW, cause_id=row),
        identifiers=(PatientIdentifier(id=RowId(row + 10), patient_id=row, value=number, issuer="HOSP", cause_id=row),),
    )


def candidate(
    order: int = 100,
    *,
    procedure: int = 0,
    owner: RowId = ALPHA,
    state: OrderState = OrderState.ACQUIRED,
    rp_id: str = "",
    uid: str = "1.2.3",
    code: str = "CT",
) -> Candidate:
    row = RowId(order)
    return Candidate(
        order=ImagingOrder(id=row, patient_id=owner, state=state, placed_at=NOW, cause_id=row),
        procedure=RequestedProcedure(
            id=RowId(procedure or order + 1),
            order_id=row,
            rp_id=rp_id,
            study_uid=uid,
            state=state,
            code=code,
            cause_id=row,
        ),
    )


def report(*numbers: tuple[str, str], name: str = "TEST^ALPHA", patient_id: str = "P1", code: str = "") -> KnownReport:
    kept = Report(
        id=RowId(500),
        state=ReportState.FINAL,
        version=1,
        code=code,
        said_name=name,
        said_birth_date="19800229",
        said_sex="F",
        received_at=NOW,
        changed_at=NOW,
        cause_id=RowId(500),
    )
    every = [*numbers, ("patient", patient_id)]
    return KnownReport(
        report=kept,
        identifiers=tuple(
            ReportIdentifier(
                id=RowId(510 + i),
                report_id=kept.id,
                kind=kind,
                value=value,
                issuer="HOSP" if kind == "patient" else "",
            )
            for i, (kind, value) in enumerate(every)
        ),
    )


def study(owner: RowId | None = ALPHA, row: int = 300) -> Study:
    return Study(
        id=RowId(row),
        study_uid="1.2.3",
        state=StudyState.COMPLETE_ASSUMED,
        patient_id=owner,
        first_received_at=NOW,
        last_received_at=NOW,
        cause_id=RowId(row),
    )


def world(**known: object) -> ReportWorld:
    values: dict[str, object] = {
        "patients": (patient(),),
        "owners": {ALPHA: patient(), BETA: patient(BETA, "TEST^BETA", "P2")},
        **known,
    }
    return ReportWorld(**values)  # type: ignore[arg-type]


def conflict(known: KnownReport, of: ReportWorld) -> tuple[str, Danger]:
    found = match_report(known, of)
    assert isinstance(found, Conflict), found
    return (found.code, found.danger)


def match(known: KnownReport, of: ReportWorld) -> ReportMatch:
    found = match_report(known, of)
    assert isinstance(found, ReportMatch), found
    return found


@pytest.mark.parametrize(
    ("by", "rule"), [("by_filler", "R1"), ("by_accession", "R2"), ("by_study", "R3"), ("by_placer", "R4")]
)
def test_each_number_finds_the_order(by: str, rule: str) -> None:
    found = match(report(), world(**{by: (candidate(),)}))

    assert (found.rule, found.patient_id, len(found.candidates)) == (rule, ALPHA, 1)
    assert found.evidence["patient_rule"] == "A1"


def test_a_placer_number_counts_only_where_nothing_better_does() -> None:
    found = match(report(), world(by_accession=(candidate(100),), by_placer=(candidate(200),)))

    assert [each.order.id for each in found.candidates] == [100]


def test_filler_and_accession_that_lead_apart_are_held() -> None:
    of = world(by_filler=(candidate(100),), by_accession=(candidate(200),))

    assert conflict(report(("filler", "F1"), ("accession", "A2")), of) == (
        "report_numbers_of_several_orders",
        Danger.AMBER,
    )


def test_a_report_that_names_two_orders_is_of_both() -> None:
    of = world(by_filler=(candidate(100), candidate(200)))

    assert len(match(report(("filler", "F1"), ("filler", "F2")), of).candidates) == 2


@pytest.mark.parametrize(
    "known",
    [report(("procedure", "RP2")), report(("study", "1.2.4")), report(code="MR")],
)
def test_one_procedure_of_several_is_named_by_id_by_study_or_by_code(known: KnownReport) -> None:
    of = world(
        by_filler=(
            candidate(100, procedure=101, rp_id="RP1", uid="1.2.3", code="CT"),
            candidate(100, procedure=102, rp_id="RP2", uid="1.2.4", code="MR"),
        )
    )

    assert [each.procedure.id for each in match(known, of).candidates] == [102]


def test_a_report_that_names_no_procedure_is_of_the_whole_order() -> None:
    of = world(by_filler=(candidate(100, procedure=101), candidate(100, procedure=102)))

    assert len(match(report(code="18748-4"), of).candidates) == 2


def test_procedures_that_were_cancelled_are_left_out() -> None:
    of = world(
        by_filler=(candidate(100, procedure=101, state=OrderState.CANCELLED), candidate(100, procedure=102)),
    )

    assert [each.procedure.id for each in match(report(), of).candidates] == [102]


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.REPLACED, OrderState.IN_ERROR])
def test_an_order_that_was_cancelled_is_held(state: OrderState) -> None:
    assert conflict(report(), world(by_filler=(candidate(state=state),))) == (
        "report_for_cancelled_order",
        Danger.AMBER,
    )


def test_a_discontinued_order_may_be_reported() -> None:
    assert match(report(), world(by_filler=(candidate(state=OrderState.DISCONTINUED),))).rule == "R1"


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (report(patient_id="P2"), "report_of_another_patient"),
        (report(patient_id="P9"), "report_of_another_patient"),
        (report(name="OTHER^NAME"), "report_patient_conflict"),
    ],
)
def test_an_order_never_overrides_the_patient(known: KnownReport, code: str) -> None:
    assert conflict(known, world(by_filler=(candidate(),))) == (code, Danger.RED)


def test_orders_of_two_patients_are_never_one_report() -> None:
    of = world(by_filler=(candidate(100), candidate(200, owner=BETA)))

    assert conflict(report(("filler", "F1"), ("filler", "F2")), of) == ("report_of_another_patient", Danger.RED)


def test_a_former_number_of_the_patient_is_the_patients() -> None:
    former = PatientIdentifier(id=RowId(99), patient_id=BETA, value="P0", issuer="HOSP", cause_id=BETA)
    of = world(by_filler=(candidate(),), owners={ALPHA: replace(patient(), former=(former,))})

    assert match(report(patient_id="P0"), of).patient_id == ALPHA


def test_a_study_of_another_patient_is_held() -> None:
    of = world(by_filler=(candidate(),), studies=(study(BETA),))

    assert conflict(report(), of) == ("report_study_of_another_patient", Danger.RED)


def test_a_study_uid_ordered_for_another_patient_is_held() -> None:
    of = world(by_filler=(candidate(),), by_study=(candidate(200, owner=BETA),))

    assert conflict(report(), of) == ("report_study_of_another_patient", Danger.RED)


@pytest.mark.parametrize("held", [RowId(300), RowId(100)])
def test_a_report_of_held_images_is_held_too(held: RowId) -> None:
    of = world(by_filler=(candidate(100),), studies=(study(None),), held=frozenset({held}))

    assert conflict(report(), of) == ("report_of_held_study", Danger.RED)


def test_without_an_order_a_report_is_of_the_study_of_its_patient() -> None:
    found = match(report(), world(studies=(study(),)))

    assert (found.rule, found.candidates, found.study) == ("R3", (), study())


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (world(studies=(study(BETA),)), "report_study_of_another_patient"),
        (world(studies=(study(),), held=frozenset({RowId(300)})), "report_of_held_study"),
        (world(patients=(patient(), patient(BETA))), "report_of_another_patient"),
        (world(patients=(patient(name="OTHER^NAME"),)), "report_patient_conflict"),
    ],
)
def test_without_an_order_a_conflict_still_beats_everything(of: ReportWorld, code: str) -> None:
    assert conflict(report(), of) == (code, Danger.RED)


def test_what_fits_nothing_waits_and_keeps_its_patient() -> None:
    assert match_report(report(), world()) == ReportUnmatched(patient_id=ALPHA)
    assert match_report(report(), world(patients=())) == ReportUnmatched()
    assert match_report(report(), world(studies=(study(None),))) == ReportUnmatched(patient_id=ALPHA)


def said(number: str = "P1", name: str = "TEST^ALPHA", birth_date: str = "", sex: str = "") -> ReportFact:
    identifiers = (IdentifierFact(value=number, issuer="HOSP"),)
    return ReportFact(patient=PatientFact(identifiers=identifiers, name=name, birth_date=birth_date, sex=sex))


@pytest.mark.parametrize(
    ("version", "claimed", "is_other"),
    [
        (said(), (patient(),), False),
        (said(name=""), (), False),
        (said("P8"), (patient(),), False),
        (said("P8"), (), True),
        (said(name="OTHER^NAME"), (patient(),), True),
        (said(birth_date="19990101"), (patient(),), True),
        (said(sex="M"), (patient(),), True),
    ],
)
def test_a_version_must_be_of_the_patient_of_its_report(
    version: ReportFact, claimed: tuple[KnownPatient, ...], is_other: bool
) -> None:
    known = report()
    known = replace(known, report=replace(known.report, patient_id=ALPHA))
    rows = iter(range(1000, 2000))
    change = Change(Act(now=NOW, cause_kind="message", cause_id=RowId(900), new_id=lambda: RowId(next(rows))))

    hold = other_patient(known, version, claimed, change)

    assert (hold is not None) is is_other
    assert [each.danger for each in change.holds] == [Danger.RED] * is_other
