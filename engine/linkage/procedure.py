"""Which requested procedure a message means, and what it says about it.

Source: spec/workflow.md section 7 for the numbers we make when an order lacks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from engine.dicom.uid import derived_uid
from engine.linkage.change import Change
from engine.linkage.policy import OrderPolicy
from engine.records.explicit import plain, updated
from engine.records.fact import OrderFact
from engine.records.record import ImagingOrder, RequestedProcedure
from engine.records.state import OrderState

_SH = 16
_NOT_BEGUN = frozenset({OrderState.PLACED, OrderState.SCHEDULED, OrderState.HELD})


def find_procedure(
    said: OrderFact, procedures: Sequence[RequestedProcedure], *, adding: bool = False
) -> RequestedProcedure | None:
    """Return the procedure that a message about a known order means; None when it means another one.

    One that was replaced is meant only when no other is.

    Args:
        said: The message; a procedure ID or a Study Instance UID that it states decides, then its code.
        procedures: Those the order has.
        adding: Whether a code that no procedure has means another procedure rather than a change of the only one.
    """
    rp_id, study_uid, code = plain(said.rp_id), plain(said.study_uid), plain(said.code)
    if rp_id:
        return _first(procedures, lambda each: each.rp_id == rp_id)
    if study_uid:
        found = _first(procedures, lambda each: each.study_uid == study_uid)
        if found is not None:
            return found
        procedures = [each for each in procedures if each.study_uid_derived]
    procedures = numbered(said, procedures)
    found = _first(procedures, lambda each: each.code == code) if code else None
    if found is not None:
        return found
    procedures = _standing(procedures) or procedures
    return procedures[0] if len(procedures) == 1 and not (adding and code) else None


def _standing(procedures: Sequence[RequestedProcedure]) -> list[RequestedProcedure]:
    return [each for each in procedures if each.state is not OrderState.REPLACED]


def numbered(said: OrderFact, procedures: Sequence[RequestedProcedure]) -> Sequence[RequestedProcedure]:
    """Return those of an order's procedures that were ordered under the message's own numbers; all when none was."""
    return [each for each in procedures if has_number(said, each)] or procedures


def has_number(said: OrderFact, procedure: RequestedProcedure) -> bool:
    """Whether a procedure was ordered under one of the message's own numbers."""
    placer, filler = plain(said.placer_number), plain(said.filler_number)
    return bool(placer and procedure.placer_number == placer) or bool(filler and procedure.filler_number == filler)


def _first(
    procedures: Sequence[RequestedProcedure], test: Callable[[RequestedProcedure], bool]
) -> RequestedProcedure | None:
    return next((each for each in (*_standing(procedures), *procedures) if test(each)), None)


def placed_procedure(
    said: OrderFact, order: ImagingOrder, siblings: Sequence[RequestedProcedure], policy: OrderPolicy, change: Change
) -> RequestedProcedure:
    """Return a new procedure of `order`, written to `change`, with the numbers it lacks made by rule."""
    position = _free_position(order, siblings)
    rp_id = plain(said.rp_id) or _made_rp_id(order, position)
    given_uid = plain(said.study_uid)
    entry = policy.code(policy.sender, plain(said.code_system), plain(said.code))
    procedure = RequestedProcedure(
        id=change.act.new_id(),
        order_id=order.id,
        rp_id=rp_id,
        # from what was said alone: an ID made of a row id would give another UID after a rebuild
        study_uid=given_uid
        or derived_uid(order.accession_issuer, order.accession_number, plain(said.rp_id) or f"-{position}"),
        study_uid_derived=not given_uid,
        state=OrderState.SCHEDULED,
        code=plain(said.code),
        code_system=plain(said.code_system),
        description=plain(said.description) or (entry.description if entry else "") or plain(said.code),
        reason=plain(said.reason),
        placer_number=plain(said.placer_number),
        filler_number=plain(said.filler_number) or order.filler_number,
        comments=plain(said.procedure_comments),
        cause_id=change.act.cause_id,
    )
    change.create(procedure)
    return procedure


def _free_position(order: ImagingOrder, siblings: Sequence[RequestedProcedure]) -> int:
    taken = {sibling.rp_id for sibling in siblings}
    return next(number for number in count(len(siblings) + 1) if _made_rp_id(order, number) not in taken)


def _made_rp_id(order: ImagingOrder, position: int) -> str:
    made = f"{order.accession_number}-{position}"
    return made if len(made) <= _SH else f"RP{order.id:08d}{position:02d}"


def updated_procedure(said: OrderFact, old: RequestedProcedure, change: Change) -> RequestedProcedure:
    """Return a procedure after a change message; its ID stays, a derived Study UID gives way to a stated one.

    Once images can exist under a Study UID it stays, and the sender is told.
    """
    stated = plain(said.study_uid)
    if stated not in ("", old.study_uid) and old.state not in _NOT_BEGUN:
        change.notes.append("the Study Instance UID stays as it was: the acquisition has begun")
        stated = ""
    new = replace(
        old,
        study_uid=stated or old.study_uid,
        study_uid_derived=old.study_uid_derived and not stated,
        code=updated(old.code, said.code),
        code_system=updated(old.code_system, said.code_system),
        description=updated(old.description, said.description),
        reason=updated(old.reason, said.reason),
        placer_number=old.placer_number or plain(said.placer_number),
        filler_number=old.filler_number or plain(said.filler_number),
        comments=updated(old.comments, said.procedure_comments),
    )
    if new != old:
        change.alter(new)
    return new
