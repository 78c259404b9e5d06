"""The procedure code map: what a code of the HIS means for the worklist. The table that sites edit most.

File: mappings/tables/procedures.csv, columns sender,system,code,description,modality,station_group.
An empty sender or system takes any.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """One row: the procedure that a code names."""

    code: str
    description: str = ""
    modality: str = ""
    station_group: str = ""
    """A name under `stations: groups:`; "" takes the modality's default group."""
    sender: str = ""
    """`MSH-3` or `MSH-3/MSH-4` of the sender; "" takes any."""
    system: str = ""
    """Coding scheme; "" takes any."""


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Looks a procedure up: (sender, system, code), then (system, code), then (code).

    Source: spec/worklist.md section 7.
    """

    rows: tuple[Procedure, ...] = ()
    _by_key: dict[tuple[str, str, str], Procedure] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keyed: dict[tuple[str, str, str], Procedure] = {}
        for row in self.rows:
            keyed.setdefault((row.sender.casefold(), row.system.casefold(), row.code.casefold()), row)
        object.__setattr__(self, "_by_key", keyed)

    def find(self, code: str, *, system: str = "", sender: str = "") -> Procedure | None:
        """Return the most specific row of a code, None when the map does not know it."""
        code, system, sender = code.casefold(), system.casefold(), sender.casefold()
        known = self._by_key
        return (
            known.get((sender, system, code))
            or known.get((sender, "", code))
            or known.get(("", system, code))
            or known.get(("", "", code))
        )
