"""The demo's checker: a right ending passes, and each thing that may be wrong in the end is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.cli.demo.cast import Cast, Exam, new_cast
from engine.cli.demo.ending import IMAGES, RULES, Ending, check, exams
from engine.cli.demo.narration import Row
from engine.cli.demo.ris import Notice

CAST = new_cast()
ROWS = (Row(at_s=0.1, who="HIS", whom="Isthmus", said="admits", answer="AA", ok=True),)


def order(exam: Exam, **values: Any) -> dict[str, Any]:
    return {
        "state": "ACQUIRED",
        "patient": {"row": int(exam.person.patient_id[-1]), "id": exam.person.patient_id},
        "studies": [],
        "notices": [],
        "holds": [],
        "events": [{"name": "order.placed", "cause": {"kind": "message", "id": 1}}],
    } | values


def done(name: str, exam: Exam) -> dict[str, Any]:
    study = {
        "study_uid": f"2.25.{IMAGES[name]}",
        "instances": IMAGES[name],
        "state": "COMPLETE_ASSUMED",
        "link": {"rule": RULES[name], "reason": "they agree"},
    }
    return order(exam, studies=[study], notices=[{"to": "ris", "state": "delivered", "answer": "AA"}])


def right(cast: Cast) -> Ending:
    hold = {"danger": "RED", "state": "open", "reason": "a patient ID that is not the order's patient"}
    orders = {name: done(name, exams(cast)[name]) for name in IMAGES}
    orders["chest"] = order(cast.chest, state="SCHEDULED", holds=[hold])
    return Ending(
        orders=orders,
        wrong_study={"link": None, "instances": 1, "state": "HELD"},
        journal=[{"control_id": cast.control_id("CT")}],
        refused=[{"code": "HL7-101"}],
        still_listed=[cast.chest.accession_number],
        told=[notice(name, exams(cast)[name]) for name in IMAGES],
        overview={},
    )


def notice(name: str, exam: Exam) -> Notice:
    return Notice(
        control_id="N1",
        accession_number=exam.accession_number,
        patient_id=exam.person.patient_id,
        patient_name=exam.person.name,
        description=exam.description,
        study_uid=f"2.25.{IMAGES[name]}",
        series="1",
        instances=str(IMAGES[name]),
    )


def failing(ending: Ending, rows: tuple[Row, ...] = ROWS) -> list[str]:
    return [each.name for each in check(CAST, rows, ending) if not each.ok]


def test_the_right_ending_passes_every_check() -> None:
    assert failing(right(CAST)) == []


def test_a_step_that_was_answered_wrongly_is_named() -> None:
    wrong = replace(ROWS[0], ok=False)

    (found,) = [each for each in check(CAST, (wrong,), right(CAST)) if not each.ok]

    assert found.found == "admits"


def _link_held(ending: Ending) -> None:
    ending.wrong_study["link"] = {"rule": "B3", "reason": "linked by mistake"}


def _lose_an_image(ending: Ending) -> None:
    ending.orders["abdomen"]["studies"][0]["instances"] = 63


def _order_twice(ending: Ending) -> None:
    ending.journal.append(ending.journal[0])


def _refuse_notice(ending: Ending) -> None:
    ending.orders["hand"]["notices"][0].update(state="dead", answer="AE")


def _notify_twice(ending: Ending) -> None:
    ending.orders["head"]["notices"] *= 2


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_link_held, "the image with the mistyped patient ID is linked to nothing"),
        (_lose_an_image, "it has all its images (CT abdomen)"),
        (_order_twice, "the resent message is in the journal once"),
        (_refuse_notice, "one notice went out and was taken (Hand X-ray)"),
        (_notify_twice, "one notice went out and was taken (CT head)"),
        (lambda e: e.orders["chest"]["holds"].clear(), "one red hold is open for it"),
        (lambda e: e.orders["chest"]["holds"][0].update(danger="AMBER"), "one red hold is open for it"),
        (lambda e: e.orders["chest"]["holds"][0].update(reason="?"), "the hold names the patient ID as the reason"),
        (lambda e: e.orders["chest"].update(state="ACQUIRED"), "the chest X-ray is still to be done"),
        (lambda e: e.orders["head"].update(studies=[]), "one study is linked to the CT head"),
        (lambda e: e.orders["hand"]["studies"][0]["link"].update(rule="C1"), "it is linked by the right rule (Hand X-ray)"),  # noqa: E501
        (lambda e: e.orders["hand"]["studies"][0]["link"].update(reason=""), "the link says why (Hand X-ray)"),
        (lambda e: e.orders["abdomen"]["studies"][0].update(state="RECEIVING"), "it is complete (CT abdomen)"),
        (lambda e: e.orders["abdomen"]["events"][0]["cause"].update(kind=""), "every event names its cause"),
        (lambda e: e.orders["head"]["patient"].update(row=99), "HL7 and FHIR speak of one patient"),
        (lambda e: e.still_listed.clear(), "it is still on the worklist of CR1"),
        (lambda e: e.still_listed.append(CAST.hand.accession_number), "what is done is off the worklists"),
        (lambda e: e.refused.clear(), "the garbage is kept, as refused"),
        (lambda e: e.told.pop(), "the RIS heard the same, once (Hand X-ray)"),
        (lambda e: e.told.append(e.told[0]), "the RIS heard the same, once (CT abdomen)"),
        (lambda e: e.told.append(replace(e.told[0], accession_number=CAST.chest.accession_number)), "the RIS heard nothing of it"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_end_is_found(spoil: Callable[[Any], None], found: str) -> None:
    ending = copy.deepcopy(right(CAST))

    spoil(ending)

    assert found in failing(ending)


def test_numbers_of_tagged_runs_do_not_meet() -> None:
    plain, tagged = new_cast(), new_cast("1A2B")

    assert {exam.accession_number for exam in plain.exams}.isdisjoint(exam.accession_number for exam in tagged.exams)
    assert all(len(exam.accession_number) <= 16 for exam in tagged.exams)
    assert len(tagged.control_id("HAND")) <= 20
