"""docs/errors.md says of every code exactly what engine/core/outcomes.py makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.core.outcomes import OUTCOMES, Outcome

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "errors.md"
CODE = re.compile(r"(?:MLLP|HL7|FHIR|DCM|WEB|SEC|STO|NET|BUG|CFG|MAP)-\d{3}")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of every table row under a `## heading`, by code."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and CODE.fullmatch(cells[0]):
            assert cells[0] not in found, f"{cells[0]} has two rows"
            found[cells[0]] = cells[1:]
    return found


def as_cells(outcome: Outcome) -> list[str]:
    """Return what the page must say of an outcome: HL7, FHIR, DICOM, then what the engine does."""
    hl7 = f"{outcome.ack} / {outcome.accept_ack}, {outcome.hl7}" if outcome.ack else "–"
    fhir = f"{outcome.http} `{outcome.fhir}`" if outcome.http else "–"
    dicom = f"0x{outcome.dimse:04X}" if outcome.dimse is not None else "–"
    return [hl7, fhir, dicom, outcome.retry, outcome.level]


@pytest.mark.parametrize("code", sorted(OUTCOMES))
def test_every_code_of_the_outcome_table_is_documented_as_it_is(code: str) -> None:
    cells = rows("Answers").get(code)

    expected = as_cells(OUTCOMES[code])
    assert cells is not None, f"docs/errors.md needs: | {code} | … | {' | '.join(expected)} |"
    assert cells[1:] == expected, f"docs/errors.md needs: | {code} | {cells[0]} | {' | '.join(expected)} |"
    assert len(cells[0]) > 10, f"say what {code} means"


def test_every_documented_answer_is_a_code_of_the_outcome_table() -> None:
    assert sorted(rows("Answers")) == sorted(OUTCOMES)


def test_every_code_the_engine_names_is_documented_and_the_other_way_round() -> None:
    named = {
        code
        for module in (REPOSITORY / "engine").rglob("*.py")
        for code in re.findall(rf'"({CODE.pattern})"', module.read_text("utf-8"))
    }

    documented = rows("Answers").keys() | rows("Findings").keys()
    assert sorted(named - documented) == []
    assert sorted(rows("Findings").keys() - named) == []
