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
    Column("order", width=9),
    Column("patient", width=13),
    Column("what", width=11),
    Column("state", 4),
    Column("worklist", 4),
    Column("images", 3),
    Column("linked because", 12),
    Column("RIS", width=9),
)


def draw(narrator: Narrator, cast: Cast, ending: Ending | None, checks: Sequence[Check]) -> None:
    """Print the end state and what is wrong with it, if anything."""
    if ending is not None:
        narrator.heading("How it ends: every order, its images, and why they belong together")
        narrator.table(_ORDERS, [_order_row(exam_name, cast, ending) for exam_name in exams(cast)])
        _draw_hold(narrator, cast, ending)
        narrator.line()
        narrator.line(_counts(ending))
    wrong = [each for each in checks if not each.ok]
    narrator.line()
    if wrong:
        narrator.line(f"✗ {len(wrong)} of {len(checks)} checks fail:", "bold red")
        for each in wrong:
            narrator.line(f"  ✗ {each.name}: {each.found}")
    else:
        narrator.line(f"✓ All {len(checks)} checks hold (in {narrator.elapsed_s:.1f} s).", "bold green")


def _order_row(name: str, cast: Cast, ending: Ending) -> list[str]:
    exam, order = exams(cast)[name], ending.orders[name]
    linked = [study for study in order["studies"] if study["link"]]
    steps = [step for procedure in order["procedures"] for step in procedure["steps"]]
    return [
        exam.accession_number,
        exam.person.name,
        exam.description,
        order["state"],
        ", ".join(sorted({f"{step['station_ae']} {step['state']}" for step in steps})),
        ", ".join(f"{study['instances']} in {study['series']} series" for study in linked) or "none",
        "; ".join(f"{study['link']['rule']}: {study['link']['reason']}" for study in linked) or "–",
        ", ".join(f"told, {notice['answer'] or notice['state']}" for notice in order["notices"]) or "not told",
    ]


def _draw_hold(narrator: Narrator, cast: Cast, ending: Ending) -> None:
    narrator.heading("Held for a person to decide")
    for hold in ending.orders["chest"]["holds"]:
        narrator.line(f"  {hold['danger']}: {hold['reason']}", "red")
        images = ending.wrong_study["images_say"]
        narrator.line(f"    the image says  {images['patient_id']}, {images['name']}, born {images['birth_date']}")
        wanted = ending.orders["chest"]["patient"]
        narrator.line(f"    the order says  {wanted['id']}, {wanted['name']}, born {wanted['birth_date']}")
        narrator.line(f"    what to do      {hold['advice']}")


def _counts(ending: Ending) -> str:
    counts = ending.overview["counts"]
    messages = ", ".join(f"{number} {state}" for state, number in sorted(counts["messages"].items()) if number)
    return (
        f"Since its start the engine took: messages: {messages}; images: {counts['instances'].get('stored', 0)} stored; "
        f"worklist queries: {counts['worklist_queries']}; notices delivered to the RIS: "
        f"{sum(lane['delivered'] for lane in ending.overview['lanes'])}."
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
