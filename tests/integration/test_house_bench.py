"""The benchmark, small: a whole engine takes orders and images from independent senders and answers the worklist."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.integration
def test_every_answer_of_a_small_benchmark_is_right(tmp_path: Path, dcmtk: object) -> None:
    report = tmp_path / "figures.json"

    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.run", "--scale", "0.01", "--folder", tmp_path, "--json", report],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-2000:]
    figures = json.loads(report.read_text("utf-8"))["figures"]
    assert [(figure["what"], figure["wrong"]) for figure in figures if figure["wrong"]] == []
    assert len(figures) == 9
