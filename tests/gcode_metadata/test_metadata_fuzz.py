"""A short run of the fuzzer (`scripts/fuzz scanner` runs it for long), and that it would find something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gcode_metadata.fuzzing import cases, trial
from tests.gcode_metadata.fuzzing.cases import Case

PROJECT = Path(__file__).resolve().parents[2]


def test_a_case_is_the_same_again() -> None:
    for number in range(40):
        assert cases.make(1, number) == cases.make(1, number)
    assert len({cases.make(1, number).made_by for number in range(200)}) >= 8


def test_hostile_files(tmp_path: Path) -> None:
    for number in range(60):
        outcome = trial.attempt(number, cases.make(20, number), tmp_path)
        # How long something takes is judged by the long run, on a machine that has nothing else to do.
        assert not outcome.fault or "is slow" in outcome.fault, outcome
        assert not list(tmp_path.iterdir())


def test_faults_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path, **_: object) -> None:
        raise KeyError("thumbnails")

    monkeypatch.setattr(trial, "scan", broken)
    outcome = trial.attempt(1, Case(".gcode", b"G28\n", "hand"), tmp_path)
    assert outcome.fault.startswith("scan raised KeyError at test_metadata_fuzz.py:")


def test_the_script_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gcode_metadata.fuzzing", "--count=5", "--seed=20", "--seconds=60"]
    answer = subprocess.run(
        [*command, "--findings", str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.stdout.startswith("seed 20, ")
    assert "5 files: {" in answer.stdout
    assert "Traceback" not in answer.stderr
