"""Order control as spec/workflow.md section 6.1 has it: the table, then the rows that are more than a line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.linkage.control import Controls
from engine.linkage.errors import DuplicateOrder, IncompleteGroup, UnknownControl, UnknownOrder
from engine.linkage.state_table import ANY, OrderAction
from engine.records.fact import OrderFact
from engine.records.state import Danger, OrderState, StepState
from tests.unit.order_book import POLICY, Book, following, patient, said

NEW = ("NW", "SC")
STARTED = ("SC", "IP")
DONE = ("XO", "CM")
HELD_BEFORE = ("HD", "")
CANCELLED = ("CA", "")

_TABLE = """
ORC-1  ORC-5  before         order is          step is       what is told
-----  -----  -------------  ----------------  ------------  ------------------
NW     SC     nothing        SCHEDULED         SCHEDULED     order.placed
NW     IP     nothing        SCHEDULED         SCHEDULED     order.placed
NW     -      nothing        SCHEDULED         SCHEDULED     order.placed
NW     HD     nothing        HELD              HELD          order.placed
SN     -      nothing        SCHEDULED         SCHEDULED     order.placed
XO     SC     scheduled      SCHEDULED         SCHEDULED     order.updated
XO     IP     scheduled      SCHEDULED         SCHEDULED     order.updated
XO     -      scheduled      SCHEDULED         SCHEDULED     order.updated
XX     SC     scheduled      SCHEDULED         SCHEDULED     order.updated
XX     IP     scheduled      SCHEDULED         SCHEDULED     order.updated
XX     -      scheduled      SCHEDULED         SCHEDULED     order.updated
XO     CM     scheduled      COMPLETED         COMPLETED     order.completed
XX     CM     scheduled      COMPLETED         COMPLETED     order.completed
XO     CM     started        COMPLETED         COMPLETED     order.completed
SC     IP     scheduled      IN_PROGRESS       STARTED       order.started
SC     A      scheduled      IN_PROGRESS       STARTED       order.started
SC     CM     scheduled      COMPLETED         COMPLETED     order.completed
SC     CM     started        COMPLETED         COMPLETED     order.completed
CA     CA     scheduled      CANCELLED         CANCELLED     order.cancelled
CA     -      scheduled      CANCELLED         CANCELLED     order.cancelled
CA     -      held           CANCELLED         CANCELLED     order.cancelled
CA     -      cancelled      CANCELLED         CANCELLED     -
CA     -      started        IN_PROGRESS       STARTED       declined
CA     -      done           COMPLETED         COMPLETED     declined
OC     CA     scheduled      CANCELLED         CANCELLED     order.cancelled
OC     -      scheduled      CANCELLED         CANCELLED     order.cancelled
OC     -      started        IN_PROGRESS       STARTED       declined
DC     CA     scheduled      DISCONTINUED      DISCONTINUED  order.discontinued
DC     DC     scheduled      DISCONTINUED      DISCONTINUED  order.discontinued
DC     -      scheduled      DISCONTINUED      DISCONTINUED  order.discontinued
DC     -      started        DISCONTINUED      DISCONTINUED  order.discontinued
DC     -      done           COMPLETED         COMPLETED     declined
OD     DC     started        DISCONTINUED      DISCONTINUED  order.discontinued
OD     -      scheduled      DISCONTINUED      DISCONTINUED  order.discontinued
HD     HD     scheduled      HELD              HELD          order.held
HD     -      scheduled      HELD              HELD          order.held
HD     -      started        IN_PROGRESS       STARTED       declined
OH     HD     scheduled      HELD              HELD          order.held
OH     -      scheduled      HELD              HELD          order.held
RL     -      held           SCHEDULED         SCHEDULED     order.released
RL     SC     held           SCHEDULED         SCHEDULED     order.released
OE     -      held           SCHEDULED         SCHEDULED     order.released
RL     -      scheduled      SCHEDULED         SCHEDULED     -
RP     -      scheduled      REPLACED          REPLACED      order.replaced
RU     -      scheduled      REPLACED          REPLACED      order.replaced
PA     -      scheduled      SCHEDULED         SCHEDULED     -
NA     -      scheduled      SCHEDULED         SCHEDULED     order.updated
SS     -      started        IN_PROGRESS       STARTED       -
NW     CM     nothing        AE 103            -             -
XO     CA     scheduled      AE 103            -             -
XO     DC     scheduled      AE 103            -             -
SC     -      scheduled      AE 103            -             -
SC     SC     scheduled      AE 103            -             -
SC     CA     scheduled      AE 103            -             -
CA     CM     scheduled      AE 103            -             -
HD     SC     scheduled      AE 103            -             -
SR     -      scheduled      AE 103            -             -
RE     -      scheduled      AE 103            -             -
OK     -      scheduled      AE 103            -             -
AF     -      scheduled      AE 103            -             -
DF     -      scheduled      AE 103            -             -
RF     -      scheduled      AE 103            -             -
LI     -      scheduled      AE 103            -             -
XO     -      nothing        AE 204            -             -
CA     -      nothing        AE 204            -             -
DC     -      nothing        AE 204            -             -
HD     -      nothing        AE 204            -             -
RL     -      nothing        AE 204            -             -
SC     IP     nothing        AE 204            -             -
RP     -      nothing        AE 204            -             -
NA     -      nothing        AE 204            -             -
SS     -      nothing        AE 204            -             -
CH     -      nothing        AE 204            -             -
"""
_BEFORE: dict[str, tuple[tuple[str, str], ...]] = {
    "nothing": (),
    "scheduled": (NEW,),
    "started": (NEW, STARTED),
    "done": (NEW, DONE),
    "held": (NEW, HELD_BEFORE),
    "cancelled": (NEW, CANCELLED),
}
_ROWS = [tuple(line.split()) for line in _TABLE.strip().splitlines()[2:]]


def message(control: str, status: str) -> OrderFact:
    """Return an order message; what changes an order says another room."""
    if control == "NA":
        return following(control, status, filler_number="FI9")
    more = {"location": "ROOM 2"} if control in ("XO", "XX") and status != "CM" else {}
    return said(control=control, status=status, **more)


@pytest.mark.parametrize(
    ("control", "status", "before", "order", "step", "told"), _ROWS, ids=["-".join(row[:3]) for row in _ROWS]
)
def test_the_table_of_order_control(control: str, status: str, before: str, order: str, step: str, told: str) -> None:
    book = Book()
    for earlier, earlier_status in _BEFORE[before]:
        book.place(said(control=earlier, status=earlier_status))
    fact = message(control, "" if status == "-" else status)

    if order.startswith("AE"):
        with pytest.raises({"103": UnknownControl, "204": UnknownOrder}[step if step != "-" else order[-3:]]):
            book.send(fact)
        assert book.nothing
        return
    known = book.place(fact)

    assert (known.order.state, known.steps[0].state) == (OrderState(order), StepState(step))
    assert book.change.declined is (told == "declined")
    if told not in ("-", "declined"):
        assert told in book.events


# `AE 103` is two words; put them together so that every row has six.
_ROWS[:] = [row if len(row) == 6 else (*row[:3], f"{row[3]} {row[4]}", *row[5:]) for row in _ROWS]


def own(**meanings: OrderAction) -> Book:
    """Return a book whose sender means something of its own by these pairs, `XO_CA` for XO with CA."""
    controls: Controls = {
        (control, ANY if status == "any" else status): action
        for pair, action in meanings.items()
        for control, _, status in (pair.partition("_"),)
    }
    return Book(policy=replace(POLICY, controls=controls))


# --- what one sender means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("control", "status"), [("XO", "CA"), ("SC", "CA")])
def test_a_sender_may_cancel_by_orc_5_only(control: str, status: str) -> None:
    book = own(XO_CA=OrderAction.CANCEL, SC_CA=OrderAction.CANCEL)
    book.place()

    assert book.place(following(control, status)).order.state is OrderState.CANCELLED


def test_a_sender_may_send_nw_for_every_change() -> None:
    book = own(NW_any=OrderAction.PLACE_OR_UPDATE)
    placed = book.place()

    changed = book.place(said(scheduled_start="20260302110000"))

    assert (changed.order.id, changed.steps[0].start) == (placed.order.id, "20260302110000")
    assert len(book.orders) == 1


def test_a_sender_may_cancel_and_place_again_for_every_change() -> None:
    book = own(NW_any=OrderAction.PLACE_OR_UPDATE)
    placed = book.place()
    book.place(following("CA"))

    again = book.place(said(scheduled_start="20260302110000"))

    assert again.order.id == placed.order.id
    assert (again.order.state, again.steps[0].state) == (OrderState.SCHEDULED, StepState.SCHEDULED)
    assert again.procedures[0].study_uid == placed.procedures[0].study_uid
    assert again.steps[0].start == "20260302110000"


def test_a_cancelled_order_placed_again_by_others_is_refused() -> None:
    book = Book()
    book.place()
    book.place(following("CA"))

    with pytest.raises(DuplicateOrder, match="cancelled"):
        book.place(said())


def test_a_code_may_be_left_alone_or_mean_what_another_means() -> None:
    book = own(XX_any=OrderAction.HOLD)
    book.place()

    assert book.place(following("XX", "SC")).order.state is OrderState.HELD


def test_a_senders_own_pair_does_not_change_the_others() -> None:
    book = own(SC_CA=OrderAction.CANCEL)
    book.place()

    assert book.place(following("SC", "IP")).order.state is OrderState.IN_PROGRESS
    with pytest.raises(UnknownControl) as refused:
        book.send(following("SC", "DC"))
    assert refused.value.where == "ORC^1^5"


# --- replacing -------------------------------------------------------------------------------------------------------


def replacement(**more: Any) -> OrderFact:
    numbers = {"placer_number": "PL2", "filler_number": "FI2", "accession_number": "ACC2"}
    return said(control="RO", **{"code": "MRHEAD", **numbers, **more})


def test_replacing_ends_the_old_order_schedules_the_new_one_and_links_both() -> None:
    book = Book()
    old = book.place()

    new = book.place(said(control="RP"), replacement())

    assert book.orders[old.order.id].order.state is OrderState.REPLACED
    assert [step.state for step in book.orders[old.order.id].steps] == [StepState.REPLACED]
    assert (new.order.state, new.procedures[0].code) == (OrderState.SCHEDULED, "MRHEAD")
    assert [(each.old_id, each.new_id) for each in book.replacements] == [(old.order.id, new.order.id)]
    assert new.procedures[0].study_uid != old.procedures[0].study_uid


def test_replacing_again_with_the_same_content_changes_nothing() -> None:
    book = Book()
    book.place()
    book.place(said(control="RP"), replacement())
    before = dict(book.orders)

    book.place(said(control="RP"), replacement())

    assert (book.orders, len(book.replacements), book.nothing) == (before, 1, True)


def test_one_order_may_be_replaced_by_two() -> None:
    book = Book()
    old = book.place()

    book.place(
        said(control="RP"),
        replacement(),
        replacement(placer_number="PL3", filler_number="FI3", accession_number="ACC3"),
    )

    assert len(book.orders) == 3
    assert [each.old_id for each in book.replacements] == [old.order.id] * 2


def test_a_replacement_under_the_same_accession_number_is_another_procedure_of_the_order() -> None:
    book = Book()
    old = book.place()

    new = book.place(said(control="RP"), replacement(accession_number="ACC1"))

    assert new.order.id == old.order.id
    assert [(each.code, each.state) for each in new.procedures] == [
        ("CTHEAD", OrderState.REPLACED),
        ("MRHEAD", OrderState.SCHEDULED),
    ]
    assert new.order.state is OrderState.SCHEDULED
    assert not book.replacements
    before = dict(book.orders)
    book.place(said(control="RP"), replacement(accession_number="ACC1"))
    assert book.orders == before


def test_a_change_after_a_replacement_means_the_new_procedure() -> None:
    book = Book()
    book.place()
    book.place(said(control="RP"), said(control="RO", scheduled_start="20260303080000"))

    changed = book.place(said(control="XO", location="ROOM 2"))

    assert [(step.state, step.location) for step in changed.steps] == [
        (StepState.REPLACED, ""),
        (StepState.SCHEDULED, "ROOM 2"),
    ]


def test_the_study_uid_of_the_replaced_order_may_go_on() -> None:
    book = Book()
    book.place(said(study_uid="2.25.7"))

    new = book.place(said(control="RP"), replacement(study_uid="2.25.7"))

    assert (new.order.state, new.procedures[0].study_uid) == (OrderState.SCHEDULED, "2.25.7")


def test_replacing_an_order_with_images_asks_a_person_about_them() -> None:
    book = Book()
    old = book.place()
    book.place(following("SC", "IP"))

    new = book.place(said(control="RP"), replacement())

    (hold,) = book.orders[old.order.id].holds
    assert (hold.code, hold.danger) == ("order_replaced_after_start", Danger.AMBER)
    assert book.orders[old.order.id].order.state is OrderState.REPLACED
    assert book.orders[old.order.id].steps[0].state is StepState.STARTED
    assert new.order.state is OrderState.SCHEDULED


def test_a_replacement_without_what_it_replaces_is_refused() -> None:
    with pytest.raises(IncompleteGroup):
        Book().send(replacement())


def test_a_replacement_for_another_patient_is_held() -> None:
    book = Book()
    book.place()
    book.place(
        said(control="NW", **{name: f"{name}9" for name in ("placer_number", "filler_number", "accession_number")}),
        of=patient(2),
    )

    held = book.held(said(control="RP"), replacement(placer_number="placer_number9"))

    assert (held.code, held.danger) == ("order_of_another_patient", Danger.RED)


# --- parent and children ---------------------------------------------------------------------------------------------


def child(number: int, code: str, **more: Any) -> OrderFact:
    """Return a child with numbers of its own."""
    return OrderFact(control="CH", placer_number=f"PL1-{number}", filler_number=f"FI1-{number}", code=code, **more)


def test_children_become_procedures_of_their_parents_order() -> None:
    book = Book()
    order = book.place()

    known = book.place(following("PA"), child(1, "CTHEAD"), child(2, "MRHEAD"))

    assert (known.order.id, len(book.orders)) == (order.order.id, 1)
    assert [(each.code, each.placer_number) for each in known.procedures] == [
        ("CTHEAD", "PL1"),
        ("CTHEAD", "PL1-1"),
        ("MRHEAD", "PL1-2"),
    ]
    assert known.order.state is OrderState.SCHEDULED


def test_a_parent_that_nobody_placed_has_its_children_only() -> None:
    book = Book()

    known = book.place(said(control="PA"), child(1, "CTHEAD"), child(2, "MRHEAD"))

    assert [each.code for each in known.procedures] == ["CTHEAD", "MRHEAD"]
    assert known.order.accession_number == "ACC1"
    assert known.order.state is OrderState.SCHEDULED


def test_the_same_children_again_change_nothing() -> None:
    book = Book()
    family = (said(control="PA"), child(1, "CTHEAD"), child(2, "MRHEAD"))
    book.place(*family)
    before = dict(book.orders)

    book.place(*family)

    assert book.orders == before


def test_a_child_finds_its_parent_by_orc_8() -> None:
    book = Book()
    order = book.place()

    known = book.place(child(1, "MRHEAD", parent_placer_number="PL1"))

    assert known.order.id == order.order.id
    assert len(known.procedures) == 2


def test_a_child_without_a_parent_is_refused() -> None:
    with pytest.raises(UnknownOrder) as refused:
        Book().send(child(1, "MRHEAD", parent_filler_number="FI9"))

    assert refused.value.where == "ORC^1^8"


def test_cancelling_a_child_by_its_own_number_leaves_its_siblings() -> None:
    book = Book()
    book.place(said(control="PA"), child(1, "CTHEAD"), child(2, "MRHEAD"))

    known = book.place(OrderFact(control="CA", placer_number="PL1-2"))

    assert [each.state for each in known.procedures] == [OrderState.SCHEDULED, OrderState.CANCELLED]
    assert known.order.state is OrderState.SCHEDULED


def test_cancelling_the_parent_cancels_its_children() -> None:
    book = Book()
    book.place(said(control="PA"), child(1, "CTHEAD"), child(2, "MRHEAD"))

    known = book.place(OrderFact(control="CA", placer_number="PL1"))

    assert {each.state for each in known.procedures} == {OrderState.CANCELLED}


def test_a_child_that_is_an_order_of_its_own_is_held() -> None:
    book = Book()
    book.place()
    book.place(said(placer_number="PL1-1", filler_number="FI1-1", accession_number="ACC9"))

    assert book.held(following("PA"), child(1, "CTHEAD")).code == "numbers_of_several_orders"


# --- numbers and status ----------------------------------------------------------------------------------------------


def test_an_assigned_number_leads_to_the_order() -> None:
    book = Book()
    order = book.place(OrderFact(control="NW", filler_number="FI1", code="CTHEAD"))

    known = book.place(OrderFact(control="NA", placer_number="PL7", filler_number="FI1"))

    assert (known.order.id, known.order.placer_number) == (order.order.id, "PL7")
    assert book.place(OrderFact(control="CA", placer_number="PL7")).order.state is OrderState.CANCELLED


def test_an_order_without_numbers_gets_one_where_the_answer_tells_it() -> None:
    book = Book(policy=replace(POLICY, numbers_orders=True))

    known = book.place(OrderFact(control="SN", code="CTHEAD"))

    assert known.order.filler_number == f"F{known.order.id:08d}"
    assert ("filler", known.order.filler_number) in {(each.kind, each.value) for each in known.identifiers}


def test_asking_for_the_status_tells_it_and_changes_nothing() -> None:
    book = Book()
    book.place()

    book.place(following("SS"))

    assert (book.nothing, book.change.notes) == (True, ["the order is SCHEDULED"])


def test_nw_resent_under_a_new_control_id_with_another_time_is_refused() -> None:
    book = Book()
    book.place()

    with pytest.raises(DuplicateOrder):
        book.send(said(scheduled_start="20260302110000"))


def test_two_orders_of_one_accession_number_and_different_patients_are_held_never_merged() -> None:
    book = Book()
    book.place()

    held = book.held(said(placer_number="PL2", filler_number="FI2"), of=patient(2))

    assert (held.code, len(book.orders)) == ("order_of_another_patient", 1)
