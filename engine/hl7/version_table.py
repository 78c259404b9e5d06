"""What each version of HL7 v2 says messages, segments and data types consist of: hl7apy's tables, in our own words.

hl7apy's parser is not asked: it raises bare IndexError, loses Z segments and knows no places. Its tables are good.
Source: hl7apy 1.3.5, generated from the HL7 database; the versions it has are `VERSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

import hl7apy
from hl7apy.exceptions import HL7apyException

from engine.hl7.version import nearest_version, version_tuple

T = TypeVar("T")

_OVERSTATED: Final = frozenset({"OBX_4", "ORC_7", "OBR_27"})
"""Fields that some tables of hl7apy require although the standard makes them optional or conditional."""
_WITHDRAWN: Final = "WD"

VERSIONS: Final[tuple[str, ...]] = tuple(sorted(hl7apy.SUPPORTED_LIBRARIES, key=version_tuple))
UNBOUNDED: Final = -1


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a segment, or one component of a data type."""

    data_type: str
    table: str = ""
    """`0125`; "" when it is bound to none."""
    least: int = 0
    most: int = UNBOUNDED
    """How often it may stand there; 0 for what the version has withdrawn."""

    @property
    def is_withdrawn(self) -> bool:
        """Whether an older version had it."""
        return self.most == 0 or self.data_type == _WITHDRAWN


@dataclass(frozen=True, slots=True)
class Node:
    """A segment or a group of a message structure, with how often it may stand there."""

    name: str
    least: int = 1
    most: int = 1
    children: tuple[Node, ...] = ()
    """Empty for a segment."""
    is_choice: bool = False
    """Exactly one of its children stands there."""
    starts: frozenset[str] = frozenset()
    """Segments that it can begin with."""
    inside: frozenset[str] = frozenset()
    """All segments of it."""
    can_be_empty: bool = False


@lru_cache(maxsize=512)
def message_structure(version: str, structure: str) -> Node | None:
    """Return a structure of table 0354, such as `ORM_O01`; None when the version has none of that name."""
    return _read(version, "Message", structure, lambda found: _node(structure, found, 1, 1))


@lru_cache(maxsize=4096)
def segment_fields(version: str, name: str) -> tuple[Part, ...] | None:
    """Return the fields of a segment, the first at index 0; None when the version has no such segment."""
    return _read(version, "Segment", name, lambda found: tuple(_parts(found[1])))


@lru_cache(maxsize=4096)
def components(version: str, data_type: str) -> tuple[Part, ...]:
    """Return the components of a data type, the first at index 0; () when it has none, or is not known."""
    return _read(version, "Datatypes_Structs", data_type, lambda found: tuple(_parts(found))) or ()


@lru_cache(maxsize=4096)
def table_values(version: str, table: str) -> frozenset[str]:
    """Return the values of a table; () when the version lists none."""
    return _read(version, "Table", f"HL7{table}", lambda found: frozenset(found[1])) or frozenset()


@lru_cache(maxsize=4096)
def knows_type(version: str, data_type: str) -> bool:
    """Say whether a version has a data type."""
    return hl7apy.load_library(version).is_base_datatype(data_type) or bool(components(version, data_type))


@lru_cache(maxsize=256)
def table_version(version: str) -> str:
    """Return the version whose tables say what a message of `version` (MSH-12.1) may look like."""
    return nearest_version(version, VERSIONS)


def load_all() -> None:
    """Import every version now, so that no message waits for it."""
    for version in VERSIONS:
        hl7apy.load_library(version)


def _read(version: str, kind: str, name: str, understand: Callable[[Any], T]) -> T | None:
    """Return what hl7apy has, as `understand` reads it; None when it has nothing, or a row that is cut short.

    Rows of some versions lack parts (segment tables of 2.1 and 2.7): that is an IndexError in hl7apy too.
    """
    try:
        return understand(hl7apy.load_reference(name, kind, version))
    except (HL7apyException, LookupError, AttributeError, TypeError, ValueError):
        return None


def _parts(listed: Any) -> Iterator[Part]:
    """Give parts by their numbers, which stand in their names: what a version withdrew is left out of some tables."""
    number = 0
    for name, reference, (least, most), _ in listed:
        number += 1
        while number < int(name.rpartition("_")[2]):
            number += 1
            yield Part(_WITHDRAWN, most=0)
        table = str(reference[4] or "").removeprefix("HL7")
        yield Part(str(reference[2] or "varies"), table, 0 if name in _OVERSTATED else least, most)


def _node(name: str, reference: Any, least: int, most: int) -> Node:
    children = tuple(
        _node(child, inner, low, high)
        if kind == "GRP"
        else Node(child, low, high, starts=frozenset({child}), inside=frozenset({child}))
        for child, inner, (low, high), kind in reference[1]
    )
    is_choice = reference[0] == "choice"
    starts: set[str] = set()
    for child in children:
        starts |= child.starts
        if not is_choice and child.least and not child.can_be_empty:
            break
    return Node(
        name,
        least,
        most,
        children,
        is_choice,
        frozenset(starts),
        frozenset(segment for child in children for segment in child.inside),
        can_be_empty=not is_choice and all(not child.least or child.can_be_empty for child in children),
    )
