"""The rows of a report: which stay, which are taken back, and the text that they make.

Source: HL7 v2.5.1 chapter 7.4.2 (OBX), 7.2.5 (OBX-3 suffixes), table 0085 (OBX-11); spec/hl7.md section 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.records.explicit import plain
from engine.records.fact import ResultFact

ADDENDUM = "ADT"
UNCHANGED = "UNCHANGED"
WITHDRAWN = "WITHDRAWN"
_FINAL = "FINAL"
_HEADINGS = {"GDT": "Description", "IMP": "Impression", "REC": "Recommendation", ADDENDUM: "Addendum"}
_PROSE = frozenset({"", "TX", "FT", "ST", "CE", "CWE", "CNE", "CF"})
_DOCUMENTS = frozenset({"ED", "RP"})
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST_UID = 64
_UID_CODES = {"113014": "study", "113015": "series"}
_UID_NAMES = {
    "dicom study": "study",
    "study instance uid": "study",
    "dicom series": "series",
    "series instance uid": "series",
    "sop instance uid": "instance",
    "sr instance uid": "instance",
}
"""Two conventions: a DCM code in OBX-3.1 (RAD-128), or a name in OBX-3.2 (RAD-28)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a version: a line of a section, or a value."""

    code: str = ""
    suffix: str = ""
    name: str = ""
    sub_id: str = ""
    value_type: str = ""
    text: str = ""
    units: str = ""
    status: str = ""
    document: str = ""
    """Number of the addendum it came with; "" for the report's own."""

    @property
    def section(self) -> tuple[str, str]:
        """Rows of one section are lines of one text."""
        return (self.code or self.name, self.suffix)

    @property
    def is_addendum(self) -> bool:
        """Whether it was added to a finished report."""
        return ADDENDUM in (self.suffix, self.code)

    def is_meant_by(self, other: Row) -> bool:
        """Whether `other`, which takes back or confirms a row, speaks of this one."""
        return self.section == other.section and ("" in (self.sub_id, other.sub_id) or self.sub_id == other.sub_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A DICOM object that a report names; `kind` is study, series or instance."""

    kind: str
    uid: str


def is_document(said: ResultFact) -> bool:
    """Whether a row carries, or points to, a document."""
    return plain(said.value_type).upper() in _DOCUMENTS


def references_of(results: Iterable[ResultFact]) -> tuple[tuple[Reference, ...], int]:
    """Return the DICOM objects that rows name, each once, and how many such rows hold no UID."""
    found: dict[Reference, None] = {}
    wrong = 0
    for said in results:
        kind = _uid_kind(said)
        if kind is None:
            continue
        uid = plain(said.value).partition("^")[0].strip(" \0")
        if len(uid) <= _LONGEST_UID and _UID.fullmatch(uid):
            found[Reference(kind=kind, uid=uid)] = None
        else:
            wrong += bool(uid)
    return (tuple(found), wrong)


def _uid_kind(said: ResultFact) -> str | None:
    return _UID_CODES.get(plain(said.code)) or _UID_NAMES.get(plain(said.name).strip().casefold())


def rows_of(results: Iterable[ResultFact], *, document: str = "") -> tuple[Row, ...]:
    """Return the rows that make text, in order; `document` is the number of the addendum they come with."""
    rows = []
    for said in results:
        if is_document(said) or _uid_kind(said) is not None:
            continue
        code, suffix = plain(said.code), plain(said.suffix).upper()
        if not suffix and code.upper() in _HEADINGS:
            code, suffix = "", code.upper()
        rows.append(
            Row(
                code=code,
                suffix=ADDENDUM if document else suffix,
                name=plain(said.name),
                sub_id=plain(said.sub_id),
                value_type=plain(said.value_type).upper(),
                text="\n".join(part for part in (plain(said.value), plain(said.comments)) if part),
                units=plain(said.units),
                status=_FINAL if plain(said.status) == UNCHANGED and plain(said.value) else plain(said.status),
                document=document,
            )
        )
    return tuple(rows)


def resulting(previous: Sequence[Row], said: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return (rows of the next version, rows taken back).

    Rows that say something replace the whole set, so C needs no rule of its own. A row that only confirms (U without
    text) stands for the one before; rows that only take back (D, W) leave the others as they were.
    """
    gone = [row for row in said if row.status == WITHDRAWN]
    stated = [row for row in said if row.status != WITHDRAWN]
    taken_back = tuple(old for old in previous if any(old.is_meant_by(row) for row in gone))
    if not stated:
        return (tuple(old for old in previous if old not in taken_back), taken_back)
    rows: list[Row] = []
    for row in stated:
        if row.status == UNCHANGED and not row.text:
            confirmed = (replace(old, status=_FINAL) for old in previous if old.is_meant_by(row))
            rows.extend(old for old in confirmed if old not in rows)
        else:
            rows.append(row)
    return (tuple(rows), taken_back)


def text_of(rows: Sequence[Row]) -> str:
    """Return what a reader sees: sections in order of their first row, each under its heading when there are several.

    Values that are not prose stand on one line with their name and unit.
    """
    sections: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sections.setdefault(row.section, []).append(row)
    alone = len(sections) == 1
    blocks: list[tuple[bool, str]] = []
    for (_, suffix), members in sections.items():
        first = members[0]
        heading = "" if alone and not suffix else _HEADINGS.get(suffix) or first.name or first.code
        if all(row.value_type in _PROSE for row in members):
            body = "\n".join(_with_units(row) for row in members).strip("\n")
            blocks.append((False, f"{heading}\n{body}" if heading and body else body or heading))
        else:
            name = first.name or first.code
            blocks.append(
                (True, "\n".join(f"{name}: {_with_units(row)}" if name else _with_units(row) for row in members))
            )
    text = ""
    for index, (is_value, block) in enumerate(blocks):
        if index:
            text += "\n" if is_value and blocks[index - 1][0] else "\n\n"
        text += block
    return text


def _with_units(row: Row) -> str:
    return f"{row.text} {row.units}" if row.units and row.text else row.text


def section_text(rows: Sequence[Row], suffix: str) -> str:
    """Return the text of the rows with a suffix, such as IMP; "" when there are none."""
    return "\n".join(row.text for row in rows if row.suffix == suffix)


def as_content(rows: Sequence[Row], withdrawn: Sequence[Row] = ()) -> dict[str, Any]:
    """Return rows as they are kept with a version; what is empty is left out."""
    content: dict[str, Any] = {"results": [_as_data(row) for row in rows]}
    if withdrawn:
        content["withdrawn"] = [_as_data(row) for row in withdrawn]
    return content


def _as_data(row: Row) -> dict[str, str]:
    return {name: value for name, value in asdict(row).items() if value}


def rows_in(content: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the rows of a kept version."""
    return tuple(Row(**kept) for kept in content.get("results", ()))
