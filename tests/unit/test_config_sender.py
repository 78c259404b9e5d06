"""What a route may say about the ways of its senders, and what it is told when it says it wrongly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.config.site import SiteRejected, load_site
from engine.linkage.state_table import ANY, CONTROL, OrderAction

REPOSITORY = Path(__file__).resolve().parents[2]
ROUTE = """route: orders-from-his
from:  {mllp: his}
when:  MSH-9.1 == 'ORM'
map:   order-from-hl7
apply: order
"""


def site_with(folder: Path, text: str, name: str = "orders-from-his") -> Path:
    (folder / "routes").mkdir(exist_ok=True)
    (folder / "routes" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def rejected(folder: Path) -> list[str]:
    with pytest.raises(SiteRejected) as raised:
        load_site(folder, environ={})
    return [str(finding) for finding in raised.value.findings]


def test_a_route_without_a_word_about_its_senders_takes_the_table(tmp_path: Path) -> None:
    (route,) = load_site(site_with(tmp_path, ROUTE), environ={}).message_routes("mllp", "his")[-1:]

    assert route.ways.of("HIS/HOSP").answers == "asked"
    assert not route.ways.of("HIS/HOSP").controls


def test_a_senders_own_words_come_before_the_routes(tmp_path: Path) -> None:
    text = ROUTE + (
        "control: {XO/CA: cancel, XX: ignore}\nanswers: order\n"
        "senders:\n  RIS/RAD: {control: {XO/CA: update, NW/*: place-or-update}, siu_cancel_cancels_order: true}\n"
    )
    site = load_site(site_with(tmp_path, text), environ={})
    route = next(route for route in site.routes if route.name == "orders-from-his")

    usual, own = route.ways.of("HIS/HOSP"), route.ways.of("RIS/RAD")

    assert usual.controls == {("XO", "CA"): OrderAction.CANCEL, ("XX", ""): OrderAction.IGNORE}
    assert own.controls == {
        ("XO", "CA"): OrderAction.UPDATE,
        ("XX", ""): OrderAction.IGNORE,
        ("NW", ANY): OrderAction.PLACE_OR_UPDATE,
    }
    assert (usual.answers, own.answers) == ("order", "order")
    assert (usual.siu_cancel_cancels_order, own.siu_cancel_cancels_order) == (False, True)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("control: {NW/*: replace}", "6:"),
        ("control: {nw: update}", "6:"),
        ("answers: orr", "6:"),
        ("senders: {RIS/RAD: {control: {XO/CA: cancle}}}", "6:"),
        ("senders: {RIS/RAD: {contrl: {}}}", "6:"),
    ],
)
def test_what_is_said_wrongly_is_refused_at_its_place(tmp_path: Path, line: str, place: str) -> None:
    (finding,) = rejected(site_with(tmp_path, ROUTE + line + "\n"))

    assert finding.startswith(f"routes/orders-from-his.yaml:{place}")


def test_routes_of_other_things_have_no_ways(tmp_path: Path) -> None:
    text = "route: patients-from-his\nfrom: {mllp: his}\nmap: patient-from-hl7\napply: patient\nanswers: order\n"

    (finding,) = rejected(site_with(tmp_path, text, "patients-from-his"))

    assert "'answers' must be left out" in finding


def test_the_table_in_the_documentation_is_the_programs() -> None:
    text = (REPOSITORY / "docs" / "order-control.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z, ]+) \| ([A-Za-z, ]+) \| ([a-z_]+) \|", text, re.MULTILINE)
    said = {
        (control, {"empty": "", "any": ANY}.get(status, status)): action
        for controls, statuses, action in rows
        for control in controls.split(", ")
        for status in statuses.split(", ")
    }

    assert said == {pair: action.value for pair, action in CONTROL.items()}
