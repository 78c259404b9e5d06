"""`isthmus demo` as a person runs it: exit code, every element of the story, --keep, --against, and being stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

pytestmark = pytest.mark.integration

WITHIN_S = 120


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "engine.cli.main", "demo", *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"TMPDIR": str(folder), "PYTHONUTF8": "1"}
    return subprocess.run(demo(*arguments), env=environ, capture_output=True, text=True, timeout=WITHIN_S, check=False)


def played(finished: subprocess.CompletedProcess[str]) -> Any:
    story = json.loads(finished.stdout)
    wrong = [step for step in story["steps"] if not step["ok"]] + [each for each in story["checks"] if not each["ok"]]
    assert (finished.returncode, story["ok"], wrong) == (0, True, [])
    return story


@contextmanager
def kept(folder: Path) -> Iterator[Any]:
    """Run the demo with --keep; end the engine that it leaves."""
    story = json.loads(run(folder, "--keep", "--json").stdout)
    try:
        yield story
    finally:
        os.kill(story["kept"]["process_id"], signal.SIGTERM)
        rmtree(story["kept"]["folder"], ignore_errors=True)


def test_the_morning_has_every_element_and_ends_well(tmp_path: Path) -> None:
    story = played(run(tmp_path, "--json"))

    said = [f"{step['who']}>{step['whom']} {step['said']}: {step['answer']}" for step in story["steps"]]
    for element in (
        "admits",
        "ORM^O01",
        "OMI^O23",
        "ServiceRequest",
        "CT1>Isthmus asks for its worklist",
        "CR1>Isthmus asks for its worklist",
        "all 64 stored",
        "NOT linked, held RED",
        "no order fits yet",
        "linked to order ACC0004",
        "the same answer, byte for byte",
        "AR (rejected)",
        "Isthmus>RIS CT abdomen of TEST^ALPHA: images complete (64 images): AA",
    ):
        assert any(element in line for line in said), element
    order = story["end"]["orders"]["abdomen"]
    assert [study["instances"] for study in order["studies"]] == [64]
    assert [notice["answer"] for notice in order["notices"]] == ["AA"]
    assert list(tmp_path.iterdir()) == []


def test_a_kept_engine_serves_its_pages_and_takes_another_morning(tmp_path: Path) -> None:
    with kept(tmp_path) as story:
        engine = story["engine"]
        for path in ("/orders/ACC0001", "/holds", "/api/orders", "/fhir/metadata"):
            with urllib.request.urlopen(engine["url"] + path, timeout=WITHIN_S) as answer:
                assert answer.status == 200

        again = run(
            tmp_path,
            *("--against", engine["url"], "--mllp-port", str(engine["mllp_port"])),
            *("--dicom-port", str(engine["dicom_port"]), "--ris-port", str(story["kept"]["ris_port"]), "--json"),
        )

        assert played(again)["end"]["orders"].keys() == story["end"]["orders"].keys()


def test_the_table_can_be_read_in_a_log(tmp_path: Path) -> None:
    finished = run(tmp_path)

    lines = finished.stdout.splitlines()
    assert finished.returncode == 0, finished.stderr
    assert "\x1b" not in finished.stdout
    assert max(len(line) for line in lines) <= 100
    assert any("All" in line and "checks hold" in line for line in lines)


def test_a_reader_that_leaves_early_does_not_end_the_story(tmp_path: Path) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUTF8": "1"}
    with subprocess.Popen(demo(), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
        process.wait(WITHIN_S)

    assert (process.returncode, complaints) == (0, "")


def test_nobody_at_the_address_is_said_plainly(tmp_path: Path, free_port: Any) -> None:
    finished = run(tmp_path, "--against", f"http://127.0.0.1:{free_port()}", "--ris-port", str(free_port()))

    assert finished.returncode == 1
    assert "nobody answers at" in finished.stderr


def test_a_demo_that_is_stopped_stops_its_engine(tmp_path: Path) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUTF8": "1"}
    with subprocess.Popen(demo(), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "admits" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WITHIN_S)

    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
