"""One line of `set:`, ready to run."""

from __future__ import annotations

from dataclasses import dataclass

from engine.mapping.explained import Explained
from engine.mapping.fault import MappingFault, Refused
from engine.mapping.path import Path, Read, source_of
from engine.mapping.place import Place
from engine.mapping.scope import Scope
from engine.mapping.value import Raw, Value, as_text, has_value
from engine.records.explicit import NULL

_MISSING = "HL7-111"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one target field becomes."""

    number: int
    """Counted from 1 within `set:`."""
    target: str
    read: Read
    paths: tuple[Path, ...]
    place: Place
    is_nested: bool = False

    def fault(self, scope: Scope, refused: Refused) -> MappingFault:
        """Return what the sender is told about a refused value."""
        path = source_of(scope, self.paths if refused.paths is None else refused.paths)
        label = path.label_of(scope) if path else self.target
        return MappingFault(
            refused.text.format(rule=self.number, path=label),
            code=refused.code,
            where=_place(scope, path, refused.code),
            rule=self.number,
            file=self.place.file,
            line=self.place.line,
            kept_text=refused.text.format(rule=f"{self.number} at {self.place}", path=label),
        )

    def missing(self, scope: Scope, code: str) -> MappingFault:
        """Return what the sender is told when this rule's target must have a value and has none."""
        path = self.paths[0] if self.paths else None
        label = path.label_of(scope) if path else self.target
        return MappingFault(
            f"{label} is required",
            code=code,
            where=_place(scope, path, code),
            rule=self.number,
            file=self.place.file,
            line=self.place.line,
        )

    def explain(self, scope: Scope, value: Value) -> Explained:
        """Return where this rule's value came from."""
        erasing = (path for path in self.paths if path.read_raw(scope) is NULL)
        path = next(erasing, None) if value is NULL else source_of(scope, self.paths)
        gave = path is not None and (value is NULL or has_value(path.read_raw(scope)))
        return Explained(
            target=scope.budget.prefix + self.target,
            value=value.text if isinstance(value, Raw) else value,
            source=path.text if path and gave else "",
            file=self.place.file,
            line=self.place.line,
        )


def _place(scope: Scope, path: Path | None, code: str) -> str | None:
    """Return the place of a path; where a field is missing, of the whole field, as the words say it."""
    where = path.where(scope) if path else ""
    return "^".join(where.split("^")[:3]) or None if code == _MISSING else where or None


def single(value: Value) -> Value:
    """Return a value for a field that holds text.

    Raises:
        Refused: MAP-203, it is a list or structured data.
    """
    try:
        return as_text(value)
    except TypeError as cause:
        raise Refused("rule {rule}: {path} is not one value") from cause
