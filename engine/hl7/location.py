"""Where in a message something stands: `PID-3.4.2` as people write it, `PID^1^3^1^4^2` as ERR-2 wants it.

Source: HL7 v2.5.1 chapter 2.A.28 (ERL); chapter 2.15.5.1 (ERR-1, before 2.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PATH = re.compile(
    r"(?P<segment>[A-Za-z][A-Za-z0-9]{2})(?:\[(?P<occurrence>\d{1,5})\])?"
    r"(?:-(?P<field>\d{1,3})(?:\[(?P<repetition>\d{1,5})\])?"
    r"(?:\.(?P<component>\d{1,3})(?:\.(?P<subcomponent>\d{1,3}))?)?)?",
    re.ASCII,
)
_ERL = re.compile(r"([A-Z][A-Z0-9]{2})((?:\^\d{0,5}){0,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a message. Numbers count from 1; None means the whole of the level above."""

    segment: str
    occurrence: int = 1
    field: int | None = None
    repetition: int | None = None
    component: int | None = None
    subcomponent: int | None = None

    @property
    def erl(self) -> str:
        """The place as ERR-2: segment ^ occurrence ^ field ^ repetition ^ component ^ subcomponent."""
        repetition = self.repetition
        if repetition is None and self.component is not None:
            repetition = 1
        numbers = (self.occurrence, self.field, repetition, self.component, self.subcomponent)
        parts = [self.segment, *("" if n is None else str(n) for n in numbers)]
        return "^".join(parts).rstrip("^")

    @property
    def path(self) -> str:
        """The place as people write it: `PID-3.4`, `OBX[2]-5[3]`."""
        text = self.segment + (f"[{self.occurrence}]" if self.occurrence > 1 else "")
        if self.field is None:
            return text
        text += f"-{self.field}" + (f"[{self.repetition}]" if (self.repetition or 1) > 1 else "")
        if self.component is None:
            return text
        text += f".{self.component}"
        return text if self.subcomponent is None else f"{text}.{self.subcomponent}"


@lru_cache(maxsize=4096)
def parse_path(path: str) -> Location:
    """Return the place that `path` names, such as `PID-3.4.2`, `OBX[2]-5[1].1` or `ZDS`.

    Raises:
        ValueError: `path` is not of that form. Paths come from our own files, so this is never the sender's fault.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"not an HL7 path: {path!r}")

    def number(name: str) -> int | None:
        return int(found[name]) if found[name] else None

    return Location(
        found["segment"].upper(),
        number("occurrence") or 1,
        number("field"),
        number("repetition"),
        number("component"),
        number("subcomponent"),
    )


def parse_erl(erl: str) -> Location | None:
    """Return the place that an ERL text such as `PID^1^3^1^4` names, None when it is none (a FHIRPath, say)."""
    found = _ERL.fullmatch(erl)
    if found is None:
        return None
    numbers = [int(n) if n else None for n in found[2].split("^")[1:]]
    numbers += [None] * (5 - len(numbers))
    return Location(found[1], numbers[0] or 1, *numbers[1:])
