"""Reads the code tables of mappings/tables/: CSV, UTF-8, the first row names the columns."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

from engine.config.code_map import CodeMap, Procedure
from engine.mapping.place import Flaw, Place
from engine.mapping.table import Table

PROCEDURES = "procedures"
"""The table that is the procedure code map rather than one for `lookup`."""

_ANYTHING = "*"
_PROCEDURE_COLUMNS = ("sender", "system", "code", "description", "modality", "station_group")


def read_table(path: Path, file: str, flaws: list[Flaw]) -> Table:
    """Return a table of two columns; what is wrong with it is added to `flaws`."""
    rows: dict[str, str] = {}
    default: str | None = None
    seen: dict[str, int] = {}
    for line, row in _rows(path, file, ("from", "to"), flaws):
        key = row["from"].strip().casefold()
        if key in seen:
            flaws.append(
                Flaw(Place(file, line), "CFG-102", f"duplicate key '{row['from']}', first at line {seen[key]}")
            )
        seen.setdefault(key, line)
        if key == _ANYTHING:
            default = row["to"].strip()
        else:
            rows[key] = row["to"].strip()
    return Table(path.stem, rows, default)


def read_code_map(path: Path, file: str, groups: frozenset[str], flaws: list[Flaw]) -> CodeMap:
    """Return the procedure code map; `groups` are the station groups that it may name."""
    procedures: list[Procedure] = []
    seen: dict[tuple[str, str, str], int] = {}
    names = [field.name for field in fields(Procedure)]
    for line, row in _rows(path, file, _PROCEDURE_COLUMNS, flaws):
        said = {name: row[name].strip() for name in names}
        key = (said["sender"].casefold(), said["system"].casefold(), said["code"].casefold())
        if not said["code"]:
            flaws.append(Flaw(Place(file, line), "CFG-105", "'code' is required"))
        if key in seen:
            flaws.append(
                Flaw(Place(file, line), "CFG-102", f"duplicate key '{said['code']}', first at line {seen[key]}")
            )
        if said["station_group"] and said["station_group"] not in groups:
            flaws.append(Flaw(Place(file, line), "CFG-106", "'station_group' must be a name under stations.groups"))
        seen.setdefault(key, line)
        procedures.append(Procedure(**said))
    return CodeMap(tuple(procedures))


def _rows(path: Path, file: str, columns: tuple[str, ...], flaws: list[Flaw]) -> list[tuple[int, dict[str, str]]]:
    """Return (line, row by column) of a file; none when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as cause:
        flaws.append(Flaw(Place(file), "CFG-106", f"the file must be UTF-8; byte {cause.start} is not"))
        return []
    reader = csv.reader(text.splitlines(), strict=True)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        for row in reader:
            if reader.line_num == 1:
                if tuple(name.strip() for name in row) != columns:
                    flaws.append(Flaw(Place(file), "CFG-106", f"the first row must be {','.join(columns)}"))
                    return []
            elif row and len(row) != len(columns):
                flaws.append(Flaw(Place(file, reader.line_num), "CFG-106", f"the row must be {len(columns)} columns"))
            elif row:
                found.append((reader.line_num, dict(zip(columns, row, strict=True))))
    except csv.Error as cause:
        flaws.append(Flaw(Place(file, reader.line_num), "CFG-106", f"the row must be CSV: {cause}"))
    return found
