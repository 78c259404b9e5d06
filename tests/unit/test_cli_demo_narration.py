"""The demo's table: fits the width, needs no terminal, and says plainly what failed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from engine.cli.demo.narration import Column, Narrator, new_console


def narrator(out: io.StringIO | io.TextIOWrapper, width: int = 80) -> Narrator:
    return Narrator(iter(range(100)).__next__, Console(file=out, width=width))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    out = io.StringIO()
    told = narrator(out, width)

    told.start()
    told.tell("terminal", "Isthmus", "says " + "many words " * 20, "answers " + "many words " * 20)
    told.table((Column("a", width=9), Column("b", 1)), [("one", "word " * 60)])

    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    assert "terminal → Isthmus" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_rows_are_kept_with_their_time_and_what_failed_is_marked() -> None:
    out = io.StringIO()
    told = narrator(out)

    told.tell("HIS", "Isthmus", "orders", "nothing within 20 s", ok=False)

    (row,) = told.rows
    assert (row.who, row.answer, row.ok, row.at_s) == ("HIS", "nothing within 20 s", False, 1)
    assert "✗" in out.getvalue()


def test_an_output_without_unicode_gets_plain_signs() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    told = narrator(out)

    told.tell("HIS", "Isthmus", "orders", "AA")
    told.line("✓ done")
    out.flush()

    assert b"HIS -> Isthmus" in raw.getvalue()
    assert b"ok done" in raw.getvalue()


def test_without_a_console_rows_are_kept_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    told = Narrator(lambda: 0.0, None)

    told.start()
    told.heading("The end")
    told.tell("HIS", "Isthmus", "orders", "AA")

    assert len(told.rows) == 1
    assert capsys.readouterr().out == ""


def test_the_width_is_that_of_a_log_unless_somebody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert new_console().width == 100

    monkeypatch.setenv("COLUMNS", "40")
    assert new_console().width == 80

    monkeypatch.setenv("COLUMNS", "200")
    assert new_console().width == 120
