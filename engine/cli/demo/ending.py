"""How the morning must end: what the engine knows then, collected over its API, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cli.demo.cast import Cast, Exam
from engine.cli.demo.narration import Row
from engine.cli.demo.ris import Notice
from engine.cli.demo.stage import Stage

Json = dict[str, Any]

IMAGES = {"abdomen": 64, "head": 12, "hand": 1}
"""Images of each examination that is linked in the end."""
RULES = {"abdomen": "B1", "head": "B1", "hand": "B3"}
"""By Study Instance UID from the worklist; by accession number where the device made its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is so in the end. `orders` are by the name of the examination in the cast."""

    orders: dict[str, Json]
    wrong_study: Json
    """The study with the mistyped patient ID."""
    journal: list[Json]
    """What the journal holds of the message that was sent twice."""
    refused: list[Json]
    """Messages that the engine refused."""
    still_listed: list[str]
    """Accession numbers on the worklists of both devices."""
    told: Sequence[Notice]
    """What the RIS received."""
    overview: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be so."""

    name: str
    ok: bool
    found: str = ""
    """What is so instead, when it is not."""


async def collect(stage: Stage) -> Ending:
    """Ask the engine and both devices how things stand.

    Raises:
        Unexpected, EngineError, OSError, aiohttp.ClientError: it cannot be asked.
    """
    cast = stage.cast
    listed = [*await stage.ct.worklist(), *await stage.cr.worklist()]
    return Ending(
        orders={name: await stage.order(exam) for name, exam in exams(cast).items()},
        wrong_study=await stage.get(f"/api/studies/{stage.wrong_study_uid}"),
        journal=(await stage.get("/api/messages", control_id=cast.control_id("CT")))["messages"],
        refused=(await stage.get("/api/messages", state="refused"))["messages"],
        still_listed=[entry.accession_number for entry in listed],
        told=tuple(stage.ris.notices),
        overview=await stage.get("/api/overview"),
    )


def exams(cast: Cast) -> dict[str, Exam]:
    """Return the examinations by the names used here."""
    return {"abdomen": cast.abdomen, "chest": cast.chest, "head": cast.head, "hand": cast.hand}


def check(cast: Cast, rows: Sequence[Row], ending: Ending) -> list[Check]:
    """Return everything that must be so, and whether it is."""
    return [
        *answered(rows),
        *(each for name in IMAGES for each in _acquired(name, exams(cast)[name], ending)),
        *_held(cast, ending),
        *_once(cast, ending),
    ]


def answered(rows: Sequence[Row]) -> Iterator[Check]:
    """Yield whether every step went as it must."""
    wrong = [row.said for row in rows if not row.ok]
    yield Check(name="every step of the morning was answered as it must be", ok=not wrong, found="; ".join(wrong))


def _acquired(name: str, exam: Exam, ending: Ending) -> Iterator[Check]:
    order, what = ending.orders[name], exam.description
    linked = [study for study in order["studies"] if study["link"]]
    yield _equal(f"the order of the {what} is acquired", order["state"], "ACQUIRED")
    yield _equal(f"one study is linked to the {what}", len(linked), 1)
    yield _equal(f"it has all its images ({what})", [study["instances"] for study in linked], [IMAGES[name]])
    yield _equal(f"it is linked by the right rule ({what})", [study["link"]["rule"] for study in linked], [RULES[name]])
    yield Check(
        name=f"the link says why ({what})", ok=all(study["link"]["reason"] for study in linked), found="no reason"
    )
    yield _equal(f"it is complete ({what})", [study["state"] for study in linked], ["COMPLETE_ASSUMED"])
    notices = [(notice["to"], notice["state"], notice["answer"]) for notice in order["notices"]]
    yield _equal(f"one notice went out and was taken ({what})", notices, [("ris", "delivered", "AA")])
    heard = [
        (notice.patient_id, notice.study_uid, notice.instances)
        for notice in ending.told
        if notice.accession_number == exam.accession_number
    ]
    expected = [(exam.person.patient_id, study["study_uid"], str(study["instances"])) for study in linked]
    yield _equal(f"the RIS heard the same, once ({what})", heard, expected)


def _held(cast: Cast, ending: Ending) -> Iterator[Check]:
    order, study = ending.orders["chest"], ending.wrong_study
    holds = [hold for hold in order["holds"] if hold["state"] == "open"]
    reasons = [hold["reason"] for hold in holds]
    yield _equal("the image with the mistyped patient ID is linked to nothing", study["link"], None)
    yield _equal("it is stored all the same", study["instances"], 1)
    yield _equal("it is shown as held", study["state"], "HELD")
    yield _equal("one red hold is open for it", [hold["danger"] for hold in holds], ["RED"])
    yield Check(
        name="the hold names the patient ID as the reason",
        ok=bool(reasons) and all("patient ID" in reason for reason in reasons),
        found="; ".join(reasons) or "no hold",
    )
    yield _equal("the chest X-ray is still to be done", order["state"], "SCHEDULED")
    chest = cast.chest.accession_number
    yield Check(name="it is still on the worklist of CR1", ok=chest in ending.still_listed, found="it is not")
    yield _equal("the RIS heard nothing of it", [each for each in ending.told if each.accession_number == chest], [])


def _once(cast: Cast, ending: Ending) -> Iterator[Check]:
    yield _equal("the resent message is in the journal once", len(ending.journal), 1)
    yield Check(name="the garbage is kept, as refused", ok=bool(ending.refused), found="nothing refused is kept")
    rows = {order["patient"]["row"] for order in (ending.orders["abdomen"], ending.orders["head"])}
    yield _equal("HL7 and FHIR speak of one patient", len(rows), 1)
    done = [exam.accession_number for exam in cast.told if exam.accession_number in ending.still_listed]
    yield _equal("what is done is off the worklists", done, [])
    silent = [
        event["name"] for order in ending.orders.values() for event in order["events"] if not event["cause"]["kind"]
    ]
    yield _equal("every event names its cause", silent, [])


def _equal(name: str, found: object, expected: object) -> Check:
    return Check(name=name, ok=found == expected, found="" if found == expected else f"{found} instead of {expected}")
