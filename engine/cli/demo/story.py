"""The morning, step by step: who says what to whom, and what must come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import aiohttp

from engine.cli.demo.cast import ISSUER, Exam
from engine.cli.demo.ehr import service_request
from engine.cli.demo.his import His, omi_order, orm_order, registration
from engine.cli.demo.modality import SUCCESS, Modality, Subject
from engine.cli.demo.narration import Narrator
from engine.cli.demo.phantom import Picture
from engine.cli.demo.stage import Stage, Unexpected
from engine.core.errors import EngineError
from engine.dicom.uid import new_uid
from engine.hl7.acknowledgement import read_ack

STEP_S = 20.0
"""How long one step may take [s]; waiting for quiet studies has a deadline of its own."""
_MEANING = {"AA": "accepted", "AE": "error", "AR": "rejected"}
GARBAGE = b"GET / HTTP/1.1\rHost: this is not HL7\r"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in plain words, and whether it is what must come back."""

    text: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """Something that somebody does."""

    who: str
    whom: str
    said: str
    play: Callable[[Stage], Awaitable[Answer]]
    within_s: float = STEP_S


async def play(stage: Stage, steps: Sequence[Step], narrator: Narrator) -> None:
    """Play the steps in order; one that fails is told so, and the next ones are played all the same."""
    for step in steps:
        try:
            async with asyncio.timeout(step.within_s):
                answer = await step.play(stage)
        except TimeoutError:
            answer = Answer(f"nothing within {step.within_s:.0f} s", ok=False)
        except (Unexpected, EngineError, OSError, aiohttp.ClientError) as error:
            answer = Answer(f"{error or type(error).__name__}", ok=False)
        narrator.tell(step.who, step.whom, step.said, answer.text, ok=answer.ok)


def morning(quiet_s: float | None, told_within_s: float) -> tuple[Step, ...]:
    """Return the whole story.

    Args:
        quiet_s: After how long without images a study is complete [s]; None when only the engine knows.
        told_within_s: How long the RIS may wait for its notices [s].
    """
    ours = "Isthmus"
    quiet = f"{quiet_s:g} s" if quiet_s is not None else "the quiet time"
    return (
        Step("HIS", ours, "admits the patient TEST^ALPHA (HL7 ADT^A01)", _admit),
        Step("HIS", ours, "orders a CT abdomen for TEST^ALPHA (HL7 ORM^O01)", _order_abdomen),
        Step("HIS", ours, "orders a chest X-ray for TEST^BRAVO (HL7 OMI^O23)", _order_chest),
        Step("EHR", ours, "orders a CT head for TEST^ALPHA, too (FHIR ServiceRequest)", _order_head),
        Step("CT1", ours, "asks for its worklist (DICOM C-FIND)", _worklist_ct),
        Step("CR1", ours, "asks for its worklist (DICOM C-FIND)", _worklist_cr),
        Step("CT1", ours, "sends the CT abdomen of TEST^ALPHA: 64 slices (DICOM C-STORE)", _send_abdomen),
        Step(ours, "", "decides what these images are", _linked_abdomen),
        Step("CT1", ours, "sends the CT head of TEST^ALPHA: 12 slices", _send_head),
        Step(ours, "", "decides what these images are", _linked_head),
        Step("CR1", ours, "sends the chest X-ray of TEST^BRAVO, but with a mistyped patient ID", _send_wrong),
        Step(ours, "", "decides whose image this is", _held),
        Step("CR1", ours, "sends a hand X-ray of TEST^CHARLIE that nobody has ordered yet", _send_early),
        Step(ours, "", "decides what this image is", _waits),
        Step("HIS", ours, "now orders that hand X-ray (HL7 ORM^O01)", _order_hand),
        Step(ours, "", "looks again at the image that waited", _linked_hand),
        Step("HIS", ours, "did not hear the answer: sends the CT order again, byte for byte", _resend),
        Step("terminal", ours, "sends garbage to the HL7 port", _garbage),
        Step("terminal", ours, "sends a proper message on the same line (HL7 ADT^A08)", _same_line),
        Step("RIS", "", f"has heard of every complete study ({quiet} after its last image)", _told, told_within_s),
    )


async def _admit(stage: Stage) -> Answer:
    return await _said(stage.his, registration(stage.cast.alpha, stage.cast.control_id("ADT")))


async def _order_abdomen(stage: Stage) -> Answer:
    body = orm_order(stage.cast.abdomen, stage.cast.control_id("CT"))
    answer = await stage.his.send(body)
    stage.sent["CT"] = (body, answer)
    ack = read_ack(answer)
    return Answer(_taken(ack.code, ack.text), ack.code == "AA")


async def _order_chest(stage: Stage) -> Answer:
    return await _said(stage.his, omi_order(stage.cast.chest, stage.cast.control_id("CR")))


async def _order_head(stage: Stage) -> Answer:
    headers = {"Content-Type": "application/fhir+json"}
    order = service_request(stage.cast.head)
    async with stage.http.post("/fhir/ServiceRequest", json=order, headers=headers) as answer:
        said = await answer.json()
        if answer.status == 201:
            return Answer("201 (created): stored, applied")
        issues = said.get("issue") or [{}]
        return Answer(f"{answer.status} {issues[0].get('details', {}).get('text', '')}".strip(), ok=False)


async def _worklist_ct(stage: Stage) -> Answer:
    return await _worklist(stage, stage.ct, (stage.cast.abdomen, stage.cast.head))


async def _worklist_cr(stage: Stage) -> Answer:
    return await _worklist(stage, stage.cr, (stage.cast.chest,))


async def _worklist(stage: Stage, modality: Modality, wanted: Sequence[Exam]) -> Answer:
    begun = monotonic()
    entries = await modality.worklist()
    took_ms = (monotonic() - begun) * 1000
    found = {entry.accession_number: entry for entry in entries}
    stage.scheduled |= found
    shown = [found[exam.accession_number] for exam in wanted if exam.accession_number in found]
    others = len(entries) - len(shown)
    text = "; ".join(f"{entry.name}, {entry.description}, {entry.accession_number}" for entry in shown)
    text += f" and {others} of others" if others else ""
    right = [(entry.name, entry.patient_id) for entry in shown]
    expected = [(exam.person.name, exam.person.patient_id) for exam in wanted]
    return Answer(f"{text or 'nothing'} (in {took_ms:.0f} ms)", right == expected)


async def _send_abdomen(stage: Stage) -> Answer:
    return await _send(stage, stage.ct, _on_worklist(stage, stage.cast.abdomen), stage.films.abdomen)


async def _send_head(stage: Stage) -> Answer:
    return await _send(stage, stage.ct, _on_worklist(stage, stage.cast.head), stage.films.head)


async def _send_wrong(stage: Stage) -> Answer:
    subject = _by_hand(stage.cast.chest, stage.cast.wrong_patient_id)
    stage.wrong_study_uid = subject.study_uid
    return await _send(stage, stage.cr, subject, stage.films.chest)


async def _send_early(stage: Stage) -> Answer:
    exam = stage.cast.hand
    return await _send(stage, stage.cr, _by_hand(exam, exam.person.patient_id), stage.films.hand)


def _on_worklist(stage: Stage, exam: Exam) -> Subject:
    found = stage.scheduled.get(exam.accession_number)
    if found is None:
        raise Unexpected("not on the worklist, so there is nothing to scan")
    return found


def _by_hand(exam: Exam, patient_id: str) -> Subject:
    """Return what somebody types who did not choose from the worklist; the device makes the Study Instance UID."""
    return Subject(
        patient_id=patient_id,
        issuer=ISSUER,
        name=exam.person.name,
        birth_date=exam.person.birth_date,
        sex=exam.person.sex,
        accession_number=exam.accession_number,
        study_uid=new_uid(),
        description=exam.description,
    )


async def _send(stage: Stage, modality: Modality, subject: Subject, pictures: Sequence[Picture]) -> Answer:
    images = await asyncio.to_thread(modality.acquire, subject, pictures)
    begun = monotonic()
    statuses = await modality.store(images)
    took_s = monotonic() - begun
    stored = statuses.count(SUCCESS)
    size_mb = sum(len(image.data_set) for image in images) / 1e6
    if stored < len(images):
        worst = next(status for status in statuses if status != SUCCESS)
        return Answer(f"0x{worst:04X}; {stored} of {len(images)} stored", ok=False)
    stage.stored.add(subject.accession_number)
    count = "stored on disk" if stored == 1 else f"all {stored} stored on disk"
    return Answer(f"success: {count} ({size_mb:.0f} MB in {took_s:.1f} s)")


async def _linked_abdomen(stage: Stage) -> Answer:
    return await _linked(stage, stage.cast.abdomen)


async def _linked_head(stage: Stage) -> Answer:
    return await _linked(stage, stage.cast.head)


async def _linked_hand(stage: Stage) -> Answer:
    return await _linked(stage, stage.cast.hand)


async def _linked(stage: Stage, exam: Exam) -> Answer:
    order = await stage.order(exam)
    links = [study["link"] for study in order["studies"] if study["link"]]
    if len(links) != 1:
        return Answer(f"{len(links)} studies are linked to {exam.accession_number}", ok=False)
    return Answer(f"linked to order {exam.accession_number}: {links[0]['reason']}")


async def _held(stage: Stage) -> Answer:
    order = await stage.order(stage.cast.chest)
    linked = [study for study in order["studies"] if study["link"]]
    holds = [hold for hold in order["holds"] if hold["state"] == "open"]
    if linked or len(holds) != 1:
        return Answer(f"{len(linked)} linked, {len(holds)} held", ok=False)
    return Answer(f"NOT linked, held {holds[0]['danger']}: {holds[0]['reason']}", holds[0]["danger"] == "RED")


async def _waits(stage: Stage) -> Answer:
    found = await stage.get("/api/studies", linked="false", accession=stage.cast.hand.accession_number)
    waiting = found["studies"]
    if len(waiting) != 1 or waiting[0]["open_holds"]:
        return Answer(f"{len(waiting)} studies wait", ok=False)
    return Answer("kept, not linked: no order fits yet")


async def _order_hand(stage: Stage) -> Answer:
    return await _said(stage.his, orm_order(stage.cast.hand, stage.cast.control_id("HAND")))


async def _resend(stage: Stage) -> Answer:
    if "CT" not in stage.sent:
        raise Unexpected("the first one was never answered")
    body, first = stage.sent["CT"]
    again = await stage.his.send(body)
    found = await stage.get("/api/orders", accession=stage.cast.abdomen.accession_number)
    orders = len(found["orders"])
    if again != first or orders != 1:
        same = "the same answer" if again == first else "another answer"
        return Answer(f"{same}, {orders} orders", ok=False)
    return Answer("the same answer, byte for byte; nothing is done twice")


async def _garbage(stage: Stage) -> Answer:
    ack = await stage.terminal.ask(GARBAGE)
    return Answer(f"{verdict(ack.code)}: {ack.text}", ack.code == "AR")


async def _same_line(stage: Stage) -> Answer:
    return await _said(stage.terminal, registration(stage.cast.alpha, stage.cast.control_id("A08"), "A08"))


async def _told(stage: Stage) -> Answer:
    expected = [exam.accession_number for exam in stage.cast.told]
    if not stage.stored.issuperset(expected):
        raise Unexpected("some images were never stored, so there is nothing to tell")
    await stage.ris.heard_of(expected)
    while True:  # the engine tells nobody that an answer has been noted
        orders = [await stage.order(exam) for exam in stage.cast.told]
        notices = [notice for order in orders for notice in order["notices"]]
        if sum(notice["state"] == "delivered" for notice in notices) >= len(expected):
            return Answer(
                f"{len(notices)} notices, each once; none about the held image", len(notices) == len(expected)
            )
        await asyncio.sleep(0.05)


async def _said(his: His, body: bytes) -> Answer:
    ack = await his.ask(body)
    return Answer(_taken(ack.code, ack.text), ack.code == "AA")


def _taken(code: str, text: str) -> str:
    return f"{verdict(code)}: {'stored, applied' if code == 'AA' else text}"


def verdict(code: str) -> str:
    """Return an acknowledgement code with its meaning. Source: HL7 v2.5.1 table 0008."""
    return f"{code} ({_MEANING.get(code, 'unknown answer')})"
