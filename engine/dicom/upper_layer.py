"""The state machine of the DICOM upper layer, as the standard prints it: what to do and where to go.

Rows are events, columns the thirteen states; a cell is an action, "-" cannot happen. `NEXT` says where an action leads.
Source: DICOM PS3.8 section 9.2, tables 9-6 to 9-10.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """Where an association stands (PS3.8 tables 9-1 to 9-5)."""

    IDLE = 1
    AWAITING_REQUEST_PDU = 2
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_TRANSPORT = 4
    AWAITING_ACCEPT_OR_REJECT_PDU = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_RP = 7
    AWAITING_LOCAL_RELEASE = 8
    COLLISION_REQUESTOR_AWAITING_LOCAL = 9
    COLLISION_ACCEPTOR_AWAITING_RP = 10
    COLLISION_REQUESTOR_AWAITING_RP = 11
    COLLISION_ACCEPTOR_AWAITING_LOCAL = 12
    AWAITING_CLOSE = 13


class Happening(IntEnum):
    """What can happen to an association, numbered as the events of PS3.8 table 9-10."""

    ASSOCIATE_REQUESTED_HERE = 1
    CONNECTED = 2
    ACCEPT_PDU = 3
    REJECT_PDU = 4
    CONNECTION_ARRIVED = 5
    REQUEST_PDU = 6
    ACCEPTED_HERE = 7
    REJECTED_HERE = 8
    DATA_HERE = 9
    DATA_PDU = 10
    RELEASE_REQUESTED_HERE = 11
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_ANSWERED_HERE = 14
    ABORTED_HERE = 15
    ABORT_PDU = 16
    CONNECTION_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


_TABLE = """
 1  AE-1     -     -     -     -     -     -     -     -     -     -     -     -
 2     -     -     -  AE-2     -     -     -     -     -     -     -     -     -
 3     -  AA-1  AA-8     -  AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
 4     -  AA-1  AA-8     -  AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
 5  AE-5     -     -     -     -     -     -     -     -     -     -     -     -
 6     -  AE-6  AA-8     -  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
 7     -     -  AE-7     -     -     -     -     -     -     -     -     -     -
 8     -     -  AE-8     -     -     -     -     -     -     -     -     -     -
 9     -     -     -     -     -  DT-1     -  AR-7     -     -     -     -     -
10     -  AA-1  AA-8     -  AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
11     -     -     -     -     -  AR-1     -     -     -     -     -     -     -
12     -  AA-1  AA-8     -  AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
13     -  AA-1  AA-8     -  AA-8  AA-8  AR-3  AA-8  AA-8 AR-10  AR-3  AA-8  AA-6
14     -     -     -     -     -     -     -  AR-4  AR-9     -     -  AR-4     -
15     -     -  AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1     -
16     -  AA-2  AA-3     -  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
17     -  AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
18     -  AA-2     -     -     -     -     -     -     -     -     -     -  AA-2
19     -  AA-1  AA-8     -  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
"""

NEXT: Final[dict[str, State]] = {
    "AE-1": State.AWAITING_TRANSPORT,
    "AE-2": State.AWAITING_ACCEPT_OR_REJECT_PDU,
    "AE-3": State.ESTABLISHED,
    "AE-4": State.IDLE,
    "AE-5": State.AWAITING_REQUEST_PDU,
    "AE-6": State.AWAITING_LOCAL_ANSWER,
    "AE-7": State.ESTABLISHED,
    "AE-8": State.AWAITING_CLOSE,
    "DT-1": State.ESTABLISHED,
    "DT-2": State.ESTABLISHED,
    "AR-1": State.AWAITING_RELEASE_RP,
    "AR-2": State.AWAITING_LOCAL_RELEASE,
    "AR-3": State.IDLE,
    "AR-4": State.AWAITING_CLOSE,
    "AR-5": State.IDLE,
    "AR-6": State.AWAITING_RELEASE_RP,
    "AR-7": State.AWAITING_LOCAL_RELEASE,
    "AR-9": State.COLLISION_REQUESTOR_AWAITING_RP,
    "AR-10": State.COLLISION_ACCEPTOR_AWAITING_LOCAL,
    "AA-1": State.AWAITING_CLOSE,
    "AA-2": State.IDLE,
    "AA-3": State.IDLE,
    "AA-4": State.IDLE,
    "AA-5": State.IDLE,
    "AA-6": State.AWAITING_CLOSE,
    "AA-7": State.AWAITING_CLOSE,
    "AA-8": State.AWAITING_CLOSE,
}
"""AE-6 refuses nothing by itself here (the acceptor does, by AE-8). AR-8 depends on the role, see `after`."""


def _read(table: str) -> dict[tuple[Happening, State], str]:
    cells = {}
    for line in table.strip().splitlines():
        number, *actions = line.split()
        for state, action in zip(State, actions, strict=True):
            if action != "-":
                cells[Happening(int(number)), state] = action
    return cells


ACTIONS: Final = _read(_TABLE)


def after(action: str, *, is_requestor: bool) -> State:
    """Return the state an action leads to."""
    if action == "AR-8":
        return State.COLLISION_REQUESTOR_AWAITING_LOCAL if is_requestor else State.COLLISION_ACCEPTOR_AWAITING_RP
    return NEXT[action]
