"""What goes wrong while a mapping runs: the sender's message does not carry what the mapping needs."""

from __future__ import annotations

from engine.core.errors import PeerError


class MappingFault(PeerError):
    """A rule of a mapping met a value it cannot take, or none where one is required.

    `where` is the place in the message (`PID^1^3`, or a FHIRPath); `rule` counts from 1 within `set:`;
    `file` and `line` are the rule's place under mappings/.
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
    ) -> None:
        self.rule = rule
        self.file = file
        self.line = line
        super().__init__(text, where=where, code=code)
