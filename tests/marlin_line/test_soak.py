"""A few rounds of the soak, so that the script stays whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.marlin_line.soak import run_round


@pytest.mark.parametrize("seed", range(100, 112))
def test_a_round(seed: int) -> None:
    result = run_round((seed, 1200))
    assert not result.failure, f"seed {seed}: {result.failure} ({result.title})"


def test_the_script() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.marlin_line.soak",
            "--rounds",
            "3",
            "--round",
            "200",
            "--lines",
            "500",
            "--jobs",
            "1",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "0 failures" in done.stdout
