"""Cuts a message into the groups of `each:`.

`each: ORC` starts a group at every ORC. `each: [ORC, OBR]` starts one at every ORC, or at an OBR when the group has
one already (what stands between that ORC and its first OBR is then shared), or when there is no ORC at all.
Source: HL7 v2.5.1 chapter 4.4 (ORM, OMG, OMI order groups).
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
