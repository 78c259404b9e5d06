"""Whether the segments of a message stand where its structure has them.

Segments are taken in order, each at the next place that can have it; what no place can have is left aside and said.
Source: HL7 v2.5.1 chapter 2.5.2 (message structure), 2.12 (chapter formats).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.hl7.acknowledgement import Problem
from engine.hl7.location import Location
from engine.hl7.message import Segment
from engine.hl7.version_table import UNBOUNDED, Node

OUT_OF_PLACE: Final = "HL7-110"
_NONE: Final[frozenset[str]] = frozenset()


def check_structure(structure: Node, segments: Sequence[Segment]) -> list[Problem]:
    """Return what is missing and what is out of place.

    Args:
        structure: What the message should look like.
        segments: Its segments in order; Z segments and lines that are none are left out by the caller.
    """
    walk = _Walk(segments)
    walk.group(structure, _NONE, _NONE)
    return walk.problems


@dataclass(slots=True)
class _Walk:
    segments: Sequence[Segment]
    at: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def name(self) -> str | None:
        """The segment that is next."""
        return self.segments[self.at].name if self.at < len(self.segments) else None

    def skip(self) -> None:
        """Say that the next segment has no place here."""
        segment = self.segments[self.at]
        where = Location(segment.name, segment.occurrence).erl
        self.problems.append(Problem(OUT_OF_PLACE, f"{segment.name} is out of place", where))
        self.at += 1

    def group(self, node: Node, after: frozenset[str], later: frozenset[str]) -> None:
        """Take the children of a group.

        Args:
            node: The group.
            after: Segments that something behind it can begin with.
            later: All segments that something behind it can have.
        """
        if node.is_choice:
            self._choice(node, after, later)
            return
        children = node.children
        behind = inside = _NONE
        following = []
        for child in reversed(children):
            following.append((child, behind, inside))
            behind, inside = behind | child.starts, inside | child.inside
        for child, begins, holds in reversed(following):
            self._several(child, begins | after, holds | later)

    def _choice(self, node: Node, after: frozenset[str], later: frozenset[str]) -> None:
        for child in node.children:
            if self.name in child.starts:
                self._one(child, after, later)
                return
        self._missing(node)

    def _several(self, child: Node, after: frozenset[str], later: frozenset[str]) -> None:
        """Take a child as often as it comes."""
        count = 0
        while self.name is not None:
            is_full = child.most != UNBOUNDED and count >= max(child.most, 1)
            if self.name in child.starts and not (is_full and self.name in after):
                if is_full:
                    self._too_often()
            elif self.name in after:
                break
            elif self.name not in child.inside or is_full:
                if self.name in later:
                    break
                self.skip()
                continue
            repeats = child.starts if child.most != 1 else _NONE
            self._one(child, after | repeats, later | (child.inside if child.most != 1 else _NONE))
            count += 1
        if count < child.least and not child.can_be_empty:
            self._missing(child)

    def _one(self, child: Node, after: frozenset[str], later: frozenset[str]) -> None:
        if not child.children:
            self.at += 1
            return
        before = self.at
        self.group(child, after, later)
        if self.at == before:
            self.skip()

    def _too_often(self) -> None:
        segment = self.segments[self.at]
        where = Location(segment.name, segment.occurrence).erl
        self.problems.append(Problem(OUT_OF_PLACE, f"{segment.name} must not come again here", where))

    def _missing(self, child: Node) -> None:
        names = _leading(child)
        following = f" before {self._label}" if self.name is not None else ""
        where = Location(min(names), self._number(names)).erl
        self.problems.append(Problem(OUT_OF_PLACE, f"{' or '.join(sorted(names))} is required{following}", where))

    @property
    def _label(self) -> str:
        segment = self.segments[self.at]
        return Location(segment.name, segment.occurrence).path

    def _number(self, names: frozenset[str]) -> int:
        """Which one of its name the missing segment would be."""
        return 1 + sum(1 for segment in self.segments[: self.at] if segment.name in names)


def _leading(node: Node) -> frozenset[str]:
    """Return the required segment that a group starts with; all of them for a choice."""
    if not node.children or node.is_choice:
        return node.starts
    for child in node.children:
        if child.least and not child.can_be_empty:
            return _leading(child)
    return node.starts
