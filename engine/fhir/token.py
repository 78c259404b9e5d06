"""Values of token and reference search parameters.

Source: FHIR R4 search.html sections 3.1.1.4.10 (token), 3.1.1.4.12 (reference) and 3.1.1.3.2 (escaping).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARTS = re.compile(r"((?:[^\\,]|\\.)*)(?:,|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\,$|])")
_PIPE = re.compile(r"((?:[^\\|]|\\.)*)\|(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """`system|value`: `system` is None when none was given (any), "" when it was given as empty (no system)."""

    system: str | None
    value: str

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read `value`, `system|value`, `|value` or `system|`."""
        found = _PIPE.fullmatch(text)
        if found is None:
            return cls(None, unescaped(text))
        return cls(unescaped(found[1]), unescaped(found[2]))


def alternatives(text: str) -> list[str]:
    """Return what a comma separates (OR), still escaped; an escaped comma does not."""
    return [part for part in _PARTS.findall(text) if part]


def unescaped(text: str) -> str:
    r"""Return a value without the escapes `\,` `\$` `\|` `\\`."""
    return _ESCAPED.sub(r"\1", text)
