"""What paths see while a mapping runs: an HL7 message or a group of its segments, or plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.hl7.acknowledgement import Problem
from engine.hl7.delimiter import DEFAULT_DELIMITERS, Delimiters
from engine.hl7.message import Message, Segment
from engine.mapping.context import Context
from engine.mapping.explained import Explained
from engine.mapping.fault import MappingFault

Segments = Mapping[str, list[Segment]]


class Budget:
    """What one run may still spend, over all of its groups."""

    __slots__ = ("_most_bytes", "_most_steps", "bytes_left", "prefix", "steps_left", "trace", "warnings")

    def __init__(self, most_steps: int, most_bytes: int) -> None:
        self.trace: list[Explained] | None = None
        """Where explanations are collected; None when nobody asks."""
        self.warnings: list[Problem] = []
        """What was left out, to tell the sender."""
        self.prefix = ""
        """What stands before target names while a nested mapping runs."""
        self._most_steps = self.steps_left = most_steps
        self._most_bytes = self.bytes_left = most_bytes

    def spend_steps(self, steps: int) -> None:
        """Count work done.

        Raises:
            MappingFault: MAP-205, there was more to do than a message may ask for.
        """
        self.steps_left -= steps
        if self.steps_left < 0:
            raise MappingFault(f"stopped after {self._most_steps} steps", code="MAP-205")

    def spend_bytes(self, size: int) -> None:
        """Count what was made [bytes].

        Raises:
            MappingFault: MAP-205, the result grew too large.
        """
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise MappingFault(f"result larger than {self._most_bytes} bytes", code="MAP-205")


class Scope:
    """One source, or one group of it. `segments` and `members` are for HL7, `resource` for everything else."""

    __slots__ = ("before", "budget", "context", "delimiters", "inherited", "members", "resource", "segments")

    def __init__(
        self,
        *,
        context: Context,
        budget: Budget,
        segments: Segments | None = None,
        members: list[Segment] | None = None,
        inherited: Segments | None = None,
        delimiters: Delimiters = DEFAULT_DELIMITERS,
        resource: Any = None,
    ) -> None:
        self.context = context
        self.budget = budget
        self.segments: Segments = {} if segments is None else segments
        """What paths see, by name."""
        self.members: list[Segment] = [] if members is None else members
        """The segments of this group itself, in order."""
        self.inherited: Segments = {} if inherited is None else inherited
        """What this group sees of what stands before it."""
        self.before: list[Segment] = []
        """The segments in front of the first group."""
        self.delimiters = delimiters
        self.resource = resource

    @classmethod
    def of(cls, source: Message | dict[str, Any], context: Context) -> Scope:
        """Return the scope of a whole source, with a fresh budget."""
        budget = Budget(context.most_steps, context.most_bytes)
        if isinstance(source, Message):
            return cls(
                context=context,
                budget=budget,
                segments=source.by_name,
                members=source.segments,
                delimiters=source.delimiters,
            )
        return cls(context=context, budget=budget, resource=source)

    def group(self, shared: Segments, members: list[Segment], before: list[Segment] | None = None) -> Scope:
        """Return the scope of a group: its own segments first, then those that stand before the first group."""
        inherited = {**self.inherited, **shared}
        made = Scope(
            context=self.context,
            budget=self.budget,
            segments={**inherited, **by_name(members)},
            members=members,
            inherited=inherited,
            delimiters=self.delimiters,
        )
        made.before = self.before if before is None else before
        return made

    def inside(self, resource: Any) -> Scope:
        """Return the scope of a part of the resource."""
        return Scope(context=self.context, budget=self.budget, resource=resource)


def by_name(segments: list[Segment]) -> Segments:
    """Return segments by their name, in order."""
    named: dict[str, list[Segment]] = {}
    for segment in segments:
        same = named.get(segment.name)
        if same is None:
            named[segment.name] = [segment]
        else:
            same.append(segment)
    return named
