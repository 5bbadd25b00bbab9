"""Recordings of real Moonraker: what it answered, to compare with what we answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden" / "moonraker"

# Recordings that we made ourselves, of scenarios that the others do not have.
OWN = Path(__file__).resolve().parents[1] / "conformance" / "recorded"


def records(scenario: str) -> list[dict[str, Any]]:
    """All records of a scenario; skips the test where the recordings are absent."""
    file = FOLDER / f"{scenario}.jsonl"
    if not file.is_file():
        file = OWN / file.name
    if not file.is_file():
        pytest.skip("the recordings of Moonraker are not here (../shared/golden/moonraker)")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def record(scenario: str, name: str, kind: str = "http", occurrence: int = 0) -> Any:
    """The answer of one record: of HTTP the body, of websocket the result."""
    found = [row for row in records(scenario) if row["name"] == name and row["kind"] == kind]
    response = found[occurrence]["response"]
    return response.get("json") if kind == "http" else response["result"]


def shape_differences(want: Any, got: Any, path: str = "") -> list[str]:
    """What `got` lacks or has of another type. Additional keys are fine; lists are compared by their first items."""
    if _kind(want) != _kind(got):
        return [f"{path or '.'}: {_kind(want)} expected, {_kind(got)} answered"]
    if isinstance(want, dict):
        return [
            row
            for key, value in want.items()
            for row in (
                shape_differences(value, got[key], f"{path}.{key}") if key in got else [f"{path}.{key}: missing"]
            )
        ]
    if isinstance(want, list) and want and got:
        return shape_differences(want[0], got[0], f"{path}[0]")
    return []


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__
