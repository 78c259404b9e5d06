"""Cuts a message into the groups of `each:`.

`each: ORC` starts a group at every ORC. `each: [ORC, OBR]` starts one at every ORC, or at an OBR when the group has
one already (what stands between that ORC and its first OBR is then shared), or when there is no ORC at all.
`each: [PID, ORC, OBR]` does so for each patient of a message that may have several.
Source: HL7 v2.5.1 chapter 7.3.1 (ORU), chapter 4.4 (ORM, OMG, OMI order groups).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.hl7.message import Segment


@dataclass(slots=True)
class _Open:
    """The group being read; `shared` is what a second detail under the same leader repeats."""

    members: list[Segment] = field(default_factory=list)
    shared: list[Segment] = field(default_factory=list)
    has_detail: bool = False


def patients_of(segments: list[Segment], starter: str) -> list[list[Segment]]:
    """Return the segments of each patient, what stands before the first of them in front of each; all when none is."""
    blocks: list[list[Segment]] = []
    before: list[Segment] = []
    for segment in segments:
        if segment.name == starter:
            blocks.append([*before, segment])
        elif blocks:
            blocks[-1].append(segment)
        else:
            before.append(segment)
    return blocks or [before]


def groups_of(segments: list[Segment], starters: tuple[str, ...]) -> tuple[list[Segment], list[list[Segment]]]:
    """Return (segments before the first group, groups in order)."""
    leader, detail = starters[0], starters[1] if len(starters) > 1 else None
    before: list[Segment] = []
    groups: list[list[Segment]] = []
    current: _Open | None = None
    for segment in segments:
        name = segment.name
        if name == leader:
            current = _Open(members=[segment])
            groups.append(current.members)
        elif name == detail and (current is None or current.has_detail):
            shared = [] if current is None else current.shared
            current = _Open(members=[*shared, segment], shared=shared, has_detail=True)
            groups.append(current.members)
        elif current is None:
            before.append(segment)
        elif name == detail:
            current.shared = current.members.copy()
            current.has_detail = True
            current.members.append(segment)
        else:
            current.members.append(segment)
    return before, groups
