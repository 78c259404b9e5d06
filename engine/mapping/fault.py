"""What goes wrong while a mapping runs: the sender's message does not carry what the mapping needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core.errors import PeerError

if TYPE_CHECKING:
    from engine.mapping.path import Path


class MappingFault(PeerError):
    """A rule of a mapping met a value it cannot take, or none where one is required.

    `where` is the place in the message (`PID^1^3`, or a FHIRPath); `rule` counts from 1 within `set:`;
    `file` and `line` are the rule's place under mappings/: for us, so they stand in `kept_text` and never in `text`.
    """

    code = "MAP-203"

    def __init__(
        self,
        text: str,
        *,
        code: str | None = None,
        where: str | None = None,
        rule: int = 0,
        file: str = "",
        line: int = 0,
        kept_text: str = "",
    ) -> None:
        self.rule = rule
        self.file = file
        self.line = line
        self._kept_text = kept_text
        super().__init__(text, where=where, code=code)

    @property
    def kept_text(self) -> str:
        """`text`, with file and line of the rule behind its number."""
        return self._kept_text or self.text


class Refused(Exception):
    """A function cannot take its value. The rule that called it turns this into a `MappingFault` with place and number.

    `text` may name `{rule}` (in our journal with its file and line) and `{path}` (the source in the sender's words).
    """

    def __init__(self, text: str, *, code: str = "MAP-203") -> None:
        self.text = text
        self.code = code
        self.paths: tuple[Path, ...] | None = None
        """The paths that gave the value, once known."""
        super().__init__(text)

    @classmethod
    def invalid(cls, kind: str) -> Refused:
        """MAP-203: the value has not the form of its kind, such as `date`."""
        return cls(f"rule {{rule}}: {{path}} is not a valid {kind}")


class LeftOut(Refused):
    """A function cannot take its value, and does without: the value is nothing, and the sender is told in a warning.

    `text` may name `{path}`.
    """
