"""Scheduled procedure steps: what a modality needs to know, where it comes from, and what holds a step back.

Source: spec/worklist.md sections 2.1, 3 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.linkage.change import Change
from engine.linkage.policy import OrderPolicy
from engine.records.explicit import plain, updated
from engine.records.fact import OrderFact, StepFact
from engine.records.record import ImagingOrder, RequestedProcedure, ScheduledStep
from engine.records.state import Danger, StepState

_SH = 16
_AE = 16
_ACQUIRED = frozenset(
    {
        StepState.STARTED,
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
        steps.append(_new_step(fact, said, sps_id, order, procedure, policy, change))
    return tuple(steps)


def updated_steps(
    said: OrderFact,
    order: ImagingOrder,
    procedure: RequestedProcedure,
    old: Sequence[ScheduledStep],
    policy: OrderPolicy,
    change: Change,
) -> tuple[ScheduledStep, ...]:
    """Return the steps of a procedure after a change message, in the order they had; unknown ones are added."""
    by_id = {step.sps_id: step for step in old}
    after = {step.id: step for step in old}
    facts = step_facts(said)
    for position, fact in enumerate(facts, 1):
        stated = plain(fact.sps_id)
        known = by_id.get(stated) if stated else (old[0] if len(old) == len(facts) == 1 else None)
        known = known or (by_id.get(_made_sps_id(procedure, position, len(facts))) if not stated else None)
        if known is None:
            step = _new_step(fact, said, stated or f"{position}", order, procedure, policy, change)
        else:
            step = _changed_step(fact, said, known, order, policy, change)
        after[step.id] = step
    return tuple(after.values())


def _made_sps_id(procedure: RequestedProcedure, position: int, of: int) -> str:
    if of == 1:
        return procedure.rp_id
    made = f"{procedure.rp_id}.{position}"
    return made if len(made) <= _SH else f"S{procedure.id:08d}{position:02d}"


def _new_step(
    fact: StepFact,
    said: OrderFact,
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
        station_aes=_titles(plain(fact.station_ae)),
        cause_id=act.cause_id,
    )
    step = settled(step, said, order, policy)
    change.create(step)
    _hold_if_incomplete(step, order, change)
    return step


def _changed_step(
    fact: StepFact, said: OrderFact, old: ScheduledStep, order: ImagingOrder, policy: OrderPolicy, change: Change
) -> ScheduledStep:
    new = replace(
        old,
        description=updated(old.description, fact.description),
        location=updated(old.location, fact.location),
        performing_physician=updated(old.performing_physician, fact.performing_physician),
    )
    if old.state not in _ACQUIRED:  # once started, what governs the acquisition stays as the modality saw it
        start = local_start(plain(fact.start), policy)
        new = replace(
            new,
            modality=updated(old.modality, fact.modality),
            station_aes=_titles(plain(fact.station_ae)) or _kept_titles(fact, old),
            station_name=updated(old.station_name, fact.station_name),
            start=start or old.start,
            start_assumed=old.start_assumed and not start,
            protocol_code=updated(old.protocol_code, fact.protocol_code),
            protocol_system=updated(old.protocol_system, fact.protocol_system),
            protocol_text=updated(old.protocol_text, fact.protocol_text),
        )
        new = settled(new, said, order, policy)
    if new != old:
        change.alter(new)
        if new.missing and new.missing != old.missing:
            _hold_if_incomplete(new, order, change)
    return new


def _kept_titles(fact: StepFact, old: ScheduledStep) -> tuple[str, ...]:
    """Keep the stations, unless the modality changed: then they are looked up again."""
    return old.station_aes if plain(fact.modality) in ("", old.modality) else ()


def settled(step: ScheduledStep, said: OrderFact, order: ImagingOrder, policy: OrderPolicy) -> ScheduledStep:
    """Return a step with modality and stations from the site's maps where the order is silent, held if it lacks any."""
    entry = policy.code(policy.sender, plain(said.code_system), plain(said.code)) if said.code else None
    modality = step.modality or (entry.modality if entry else "")
    stations = step.station_aes or (entry.station_aes if entry else ()) or policy.stations(modality)
    step = replace(step, modality=modality, station_aes=stations)
    missing = what_is_missing(step, order)
    if missing:
        return replace(step, missing=missing, state=StepState.HELD_INCOMPLETE)
    state = StepState.SCHEDULED if step.state is StepState.HELD_INCOMPLETE else step.state
    return replace(step, missing="", state=state)


def what_is_missing(step: ScheduledStep, order: ImagingOrder) -> str:
    """Return why a step cannot be served to a modality, in words; "" when it can."""
    if not step.modality:
        return "modality: add the procedure code to mappings/tables/procedures.csv, or send OBR-24"
    if not step.station_aes:
        return f"station: no station group for modality {step.modality}; add one under stations: in isthmus.yaml"
    if len(order.accession_number) > _SH:
        return f"accession number of {len(order.accession_number)} characters; DICOM holds {_SH}, it is never cut"
    if len(step.sps_id) > _SH:
        return f"scheduled procedure step ID of {len(step.sps_id)} characters; DICOM holds {_SH}"
    if any(len(title) > _AE for title in step.station_aes):
        return f"station AE title longer than {_AE} characters"
    return ""


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


def _titles(stated: str) -> tuple[str, ...]:
    return tuple(title.strip() for title in stated.split("\\") if title.strip())


def local_start(stated: str, policy: OrderPolicy) -> str:
    """Return a DICOM DT in the site's local time, without offset; "" when nothing usable was stated."""
    sign = max(stated.rfind("+"), stated.rfind("-"))
    if sign < 8 or len(stated) - sign != 5:
        return stated
    digits = stated[:sign].split(".", 1)[0]
    moment = datetime.strptime(f"{digits:0<14}{stated[sign:]}", "%Y%m%d%H%M%S%z")
    return moment.astimezone(policy.timezone).strftime("%Y%m%d%H%M%S")[: max(len(digits), 8)]
