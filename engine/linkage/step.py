"""Scheduled procedure steps: what a modality needs to know, where it comes from, and what holds a step back.

Source: spec/worklist.md sections 2.1, 3 and 7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.dicom.uid import is_uid
from engine.linkage.change import Change
from engine.linkage.identity import KnownPatient
from engine.linkage.policy import OrderPolicy
from engine.records.explicit import NULL, plain, updated
from engine.records.fact import OrderFact, StepFact
from engine.records.record import Hold, ImagingOrder, RequestedProcedure, ScheduledStep
from engine.records.state import Danger, HoldState, StepState

_SH = 16
_LO = 64
_AE = 16
_DT = re.compile(r"(?P<day>\d{8})(?P<time>(?:\d\d){0,3})(?:\.\d+)?(?P<offset>[+-]\d{4})?")
_ACQUIRED = frozenset(
    {
        StepState.STARTED,
        StepState.DEPARTED,
        StepState.COMPLETED,
        StepState.DISCONTINUED,
        StepState.CANCELLED,
        StepState.REPLACED,
    }
)


def step_facts(said: OrderFact) -> tuple[StepFact, ...]:
    """Return the steps a message describes; without a list of its own, the order's fields describe the only one."""
    if said.steps:
        return said.steps
    return (
        StepFact(
            sps_id=said.sps_id,
            modality=said.modality,
            station_ae=said.station_ae,
            station_name=said.station_name,
            location=said.location,
            start=said.scheduled_start,
            description=said.step_description,
            protocol_code=said.protocol_code,
            protocol_system=said.protocol_system,
            protocol_text=said.protocol_text,
            performing_physician=said.performing_physician,
        ),
    )


def placed_steps(
    said: OrderFact, order: ImagingOrder, procedure: RequestedProcedure, policy: OrderPolicy, change: Change
) -> tuple[ScheduledStep, ...]:
    """Return the new steps of a procedure, written to `change`; an incomplete one is held with what it lacks."""
    facts = step_facts(said)
    steps = []
    for position, fact in enumerate(facts, 1):
        sps_id = plain(fact.sps_id) or _made_sps_id(procedure, position, len(facts))
        steps.append(_new_step(fact, sps_id, order, procedure, policy, change))
    return tuple(steps)


def updated_steps(
    said: OrderFact,
    order: ImagingOrder,
    procedure: RequestedProcedure,
    old: Sequence[ScheduledStep],
    policy: OrderPolicy,
    change: Change,
    *,
    recoded: bool = False,
) -> tuple[ScheduledStep, ...]:
    """Return the steps of a procedure after a change message, in the order they had; unknown ones are added.

    Args:
        said: The message.
        order: As the message leaves it.
        procedure: As the message leaves it.
        old: Its steps before.
        policy: The site's maps.
        change: Where the decision is written.
        recoded: Whether the message changed the procedure's code, so that the code map is asked again.
    """
    by_id = {step.sps_id: step for step in old}
    after = {step.id: step for step in old}
    facts = step_facts(said)
    for position, fact in enumerate(facts, 1):
        sps_id = plain(fact.sps_id) or _made_sps_id(procedure, position, len(facts))
        known = by_id.get(sps_id)
        if not plain(fact.sps_id) and len(facts) == 1 and len(old) == 1:
            known = old[0]
        elif not plain(fact.sps_id) and len(facts) < len(old):
            if fact != StepFact():
                change.notes.append(f"not applied to the {len(old)} steps: the message does not say which one it means")
            continue
        if known is None:
            step = _new_step(fact, sps_id, order, procedure, policy, change)
            by_id[sps_id] = step
        else:
            step = _changed_step(fact, known, order, procedure, policy, change, recoded=recoded)
        after[step.id] = step
    return tuple(after.values())


def _made_sps_id(procedure: RequestedProcedure, position: int, of: int) -> str:
    if of == 1:
        return procedure.rp_id
    made = f"{procedure.rp_id}.{position}"
    return made if len(made) <= _SH else f"S{procedure.id:08d}{position:02d}"


def _new_step(
    fact: StepFact,
    sps_id: str,
    order: ImagingOrder,
    procedure: RequestedProcedure,
    policy: OrderPolicy,
    change: Change,
) -> ScheduledStep:
    act = change.act
    start = local_start(plain(fact.start), policy)
    step = ScheduledStep(
        id=act.new_id(),
        procedure_id=procedure.id,
        sps_id=sps_id,
        state=StepState.SCHEDULED,
        station_name=plain(fact.station_name),
        location=plain(fact.location),
        start=start or act.now.astimezone(policy.timezone).strftime("%Y%m%d%H%M%S"),
        start_assumed=not start,
        description=plain(fact.description) or procedure.description,
        protocol_code=plain(fact.protocol_code),
        protocol_system=plain(fact.protocol_system),
        protocol_text=plain(fact.protocol_text),
        performing_physician=plain(fact.performing_physician),
        modality=plain(fact.modality),
        station_aes=station_titles(plain(fact.station_ae)),
        cause_id=act.cause_id,
    )
    step = settled(step, order, procedure, policy)
    change.create(step)
    _hold_if_incomplete(step, order, change)
    return step


def _changed_step(
    fact: StepFact,
    old: ScheduledStep,
    order: ImagingOrder,
    procedure: RequestedProcedure,
    policy: OrderPolicy,
    change: Change,
    *,
    recoded: bool,
) -> ScheduledStep:
    new = replace(
        old,
        description=updated(old.description, fact.description),
        location=updated(old.location, fact.location),
        performing_physician=updated(old.performing_physician, fact.performing_physician),
    )
    rescheduled = _rescheduled(fact, new, policy)
    if old.state not in _ACQUIRED:
        if recoded:
            rescheduled = _recoded(fact, rescheduled, procedure, policy)
        new = settled(rescheduled, order, procedure, policy)
    elif rescheduled != new:
        change.notes.append(f"not applied: the step is {old.state}; modality, station, time and protocol stay")
    if new != old:
        change.alter(new)
        if new.missing and new.missing != old.missing:
            _hold_if_incomplete(new, order, change)
    return new


def _rescheduled(fact: StepFact, old: ScheduledStep, policy: OrderPolicy) -> ScheduledStep:
    """Return a step with what governs the acquisition; from its start on that stays as the modality saw it."""
    start = local_start(plain(fact.start), policy)
    return replace(
        old,
        modality=updated(old.modality, fact.modality),
        station_aes=station_titles(plain(fact.station_ae)) or _kept_titles(fact, old),
        station_name=updated(old.station_name, fact.station_name),
        start=start or old.start,
        start_assumed=old.start_assumed and not start,
        protocol_code=updated(old.protocol_code, fact.protocol_code),
        protocol_system=updated(old.protocol_system, fact.protocol_system),
        protocol_text=updated(old.protocol_text, fact.protocol_text),
    )


def _kept_titles(fact: StepFact, old: ScheduledStep) -> tuple[str, ...]:
    """Keep the stations, unless they are erased or the modality changed: then they are looked up again."""
    kept = fact.station_ae is not NULL and plain(fact.modality) in ("", old.modality)
    return old.station_aes if kept else ()


def _recoded(fact: StepFact, step: ScheduledStep, procedure: RequestedProcedure, policy: OrderPolicy) -> ScheduledStep:
    """Return a step whose procedure has another code now: what the message leaves open follows the new code."""
    entry = policy.code(policy.sender, procedure.code_system, procedure.code)
    if entry is None:
        return step
    modality = step.modality if plain(fact.modality) else entry.modality or step.modality
    stations = step.station_aes if plain(fact.station_ae) else ()
    return replace(step, modality=modality, station_aes=stations)


def settled(
    step: ScheduledStep, order: ImagingOrder, procedure: RequestedProcedure, policy: OrderPolicy
) -> ScheduledStep:
    """Return a step with modality and stations from the site's maps where the order is silent, held if it lacks any."""
    entry = policy.code(policy.sender, procedure.code_system, procedure.code)
    modality = step.modality or (entry.modality if entry else "")
    from_code = entry.station_aes if entry and entry.modality in ("", modality) else ()
    stations = step.station_aes or from_code or policy.stations(modality)
    state = StepState.SCHEDULED if step.state is StepState.HELD_INCOMPLETE else step.state
    step = replace(step, modality=modality, station_aes=stations, missing="", state=state)
    missing = what_is_missing(step, order, procedure) or policy.patient_flaw
    return replace(step, missing=missing, state=StepState.HELD_INCOMPLETE) if missing else step


def what_is_missing(step: ScheduledStep, order: ImagingOrder, procedure: RequestedProcedure) -> str:
    """Return why a step cannot be served to a modality, in words; "" when it can.

    Source: spec/worklist.md section 3; DICOM PS3.5 section 6.2 for the lengths.
    """
    if not step.modality:
        return "modality: add the procedure code to mappings/tables/procedures.csv, or send OBR-24"
    if not step.station_aes:
        return f"station: no station group for modality {step.modality}; add one under stations: in isthmus.yaml"
    if not (step.description or step.protocol_code or procedure.description or procedure.code):
        return "description: send OBR-4"
    for name, identifier in (
        ("accession number", order.accession_number),
        ("requested procedure ID", procedure.rp_id),
        ("scheduled procedure step ID", step.sps_id),
    ):
        if "\\" in identifier:
            return f"{name} in a form DICOM can hold: a backslash would part it into two values"
        if len(identifier) > _SH:
            return f"{name} in a form DICOM can hold: it has {len(identifier)} characters, {_SH} fit, it is never cut"
    if not is_uid(procedure.study_uid):
        return "Study Instance UID in a form DICOM can hold: digits and dots, 64 at most"
    if any(len(title) > _AE for title in step.station_aes):
        return f"station AE title in a form DICOM can hold: {_AE} characters at most"
    return ""


def patient_flaw(patient: KnownPatient) -> str:
    """Return what of a patient a modality cannot be told, in words; "" when nothing.

    Source: spec/worklist.md section 3 (Patient's Name and Patient ID are needed before a step is served).
    """
    identifier = next((each for each in patient.identifiers if each.is_primary), next(iter(patient.identifiers), None))
    if identifier is None:
        return "patient ID: send PID-3"
    if len(identifier.value) > _LO:
        return f"patient ID in a form DICOM can hold: it has {len(identifier.value)} characters, {_LO} fit"
    if "\\" in identifier.value:
        return "patient ID in a form DICOM can hold: a backslash would part it into two values"
    return "" if patient.patient.name.strip("^= ") else "patient name: send PID-5"


def released_steps(steps: Sequence[ScheduledStep], holds: Sequence[Hold], change: Change) -> tuple[ScheduledStep, ...]:
    """Return steps after their patient became one that a modality can be told; what held them for that is resolved."""
    after = []
    for step in steps:
        if step.missing.startswith("patient "):
            step = replace(step, missing="", state=StepState.SCHEDULED)  # noqa: PLW2901  # the same step, released
            change.alter(step)
            for hold in holds:
                if hold.step_id == step.id and hold.code == "step_incomplete" and hold.state is HoldState.OPEN:
                    now = change.act.now
                    change.alter(replace(hold, state=HoldState.RESOLVED, resolved_at=now, resolution="completed"))
                    change.event("hold.resolved", "the patient is known now", order_id=hold.order_id, step_id=step.id)
        after.append(step)
    return tuple(after)


def _hold_if_incomplete(step: ScheduledStep, order: ImagingOrder, change: Change) -> None:
    if step.missing:
        change.hold(
            "step_incomplete",
            Danger.AMBER,
            f"the step is not on the worklist; it lacks its {step.missing}",
            order_id=order.id,
            step_id=step.id,
            patient_id=order.patient_id,
        )
        change.notes.append(f"accepted, not on the worklist yet; it lacks its {step.missing}")


def station_titles(stated: str) -> tuple[str, ...]:
    """Return the AE titles of a list parted by backslashes."""
    return tuple(title.strip() for title in stated.split("\\") if title.strip())


def local_start(stated: str, policy: OrderPolicy) -> str:
    """Return a DICOM DT in the site's local time, without offset or fraction; "" when no day at least was stated.

    A day without a time stays that day whatever its offset. A time without an offset is taken for local.
    """
    found = _DT.fullmatch(stated)
    if found is None:
        return ""
    day, time, offset = found["day"], found["time"], found["offset"]
    if not time or not offset:
        return day + time
    time = f"{time:0<6}"
    second = min(time[4:], "59")  # HL7 and DICOM know second 60, Python's clock does not
    moment = datetime.strptime(f"{day}{time[:4]}{second}{offset}", "%Y%m%d%H%M%S%z")
    return moment.astimezone(policy.timezone).strftime("%Y%m%d%H%M%S")
