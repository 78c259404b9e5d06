"""Shows how the morning ended: for people as tables, for programs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.cli.demo.cast import Cast
from engine.cli.demo.ending import Check, Ending, exams
from engine.cli.demo.host import Address
from engine.cli.demo.narration import Column, Narrator, Row

Json = dict[str, Any]

_ORDERS = (
    Column("order", width=16),
    Column("state", width=14),
    Column("images", width=9),
    Column("why they belong to the order", 1),
    Column("RIS", width=9),
)
_HOLD = (Column("", width=16), Column("", 1))


def draw(narrator: Narrator, cast: Cast, ending: Ending | None, checks: Sequence[Check]) -> None:
    """Print the end state and what is wrong with it, if anything."""
    if ending is not None:
        narrator.heading("How it ends")
        narrator.table(_ORDERS, [_order_row(name, cast, ending) for name in exams(cast)])
        narrator.heading("Held for a person to decide")
        narrator.table(_HOLD, _hold_rows(ending))
        narrator.heading("Counted since the engine started")
        narrator.line(_counts(ending))
    wrong = [each for each in checks if not each.ok]
    narrator.line()
    if wrong:
        narrator.line(f"✗ {len(wrong)} of {len(checks)} checks fail:", "bold red")
        for each in wrong:
            narrator.line(f"  ✗ {each.name}: {each.found}", "red")
    else:
        in_all = f"{narrator.elapsed_s:.1f} s after the first word"
        narrator.line(f"✓ All {len(checks)} checks hold ({in_all}).", "bold green")


def _order_row(name: str, cast: Cast, ending: Ending) -> list[str]:
    exam, order = exams(cast)[name], ending.orders[name]
    linked = [study for study in order["studies"] if study["link"]]
    steps = [step for procedure in order["procedures"] for step in procedure["steps"]]
    return [
        f"{exam.accession_number}\n{exam.person.name}\n{exam.description}",
        "\n".join([order["state"], *(f"{step['station_ae']} {step['state']}" for step in steps)]),
        "\n".join(f"{study['instances']} in\n{study['series']} series" for study in linked) or "none",
        "; ".join(f"rule {study['link']['rule']}: {study['link']['reason']}" for study in linked)
        or "nothing is linked; the order is still to be done",
        "\n".join(f"told,\nsaid {notice['answer'] or 'nothing'}" for notice in order["notices"]) or "not told",
    ]


def _hold_rows(ending: Ending) -> list[list[str]]:
    image, order = ending.wrong_study["images_say"], ending.orders["chest"]["patient"]
    rows = []
    for hold in ending.orders["chest"]["holds"]:
        rows += [
            [hold["danger"], hold["reason"]],
            ["the image says", f"{image['patient_id']}, {image['name']}, born {image['birth_date']}"],
            ["the order says", f"{order['id']}, {order['name']}, born {order['birth_date']}"],
            ["what to do", hold["advice"]],
        ]
    return rows or [["nothing", ""]]


def _counts(ending: Ending) -> str:
    counts = ending.overview["counts"]
    messages = ", ".join(f"{number} {state}" for state, number in sorted(counts["messages"].items()) if number)
    delivered = sum(lane["delivered"] for lane in ending.overview["lanes"])
    return (
        f"messages: {messages} · images: {counts['instances'].get('stored', 0)} stored · "
        f"worklist queries: {counts['worklist_queries']} · notices to the RIS: {delivered} delivered"
    )


def as_json(rows: Sequence[Row], ending: Ending | None, checks: Sequence[Check], address: Address, cast: Cast) -> Json:
    """Return everything that the tables tell, and more."""
    return {
        "ok": all(each.ok for each in checks),
        "engine": asdict(address),
        "steps": [asdict(row) for row in rows],
        "end": None if ending is None else asdict(ending),
        "orders": {name: exam.accession_number for name, exam in exams(cast).items()},
        "checks": [asdict(each) for each in checks],
    }
