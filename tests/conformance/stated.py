"""What is compared with what, and which differences are stated: those of deviations.json, each with its reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEVIATIONS = HERE / "deviations.json"
RECORDED = HERE / "recorded"
UNPAIRED = "Not a difference: "
"""Reasons begin so where only the recorder's way of naming keeps compare.py from finding the pair of a record."""


def reference(golden: Path, folder: Path) -> Path:
    """A folder with all recordings of a real Moonraker: those of the material, and ours of what it does not have."""
    folder.mkdir(parents=True)
    for source in (RECORDED, golden):
        for file in source.glob("*.jsonl"):
            shutil.copy(file, folder / file.name)
    return folder


def compare(program: Path, golden: Path, ours: Path, scenarios: Sequence[str], *, verbose: bool) -> int:
    """Run compare.py and say which stated deviations were not met; gives its exit status."""
    command = [sys.executable, str(program), *(["--verbose"] if verbose else [])]
    places = [str(golden), str(ours), *scenarios]
    status = subprocess.run([*command, "--deviations", str(DEVIATIONS), *places], check=False).returncode
    every = subprocess.run([*command, *places], check=False, capture_output=True, text=True).stdout
    stated: dict[str, str] = json.loads(DEVIATIONS.read_text(encoding="utf-8"))
    for label in stated:
        if label.startswith(tuple(scenarios)) and f"\n  {label}: " not in every:
            print(f"  {label}: stated, but this time there was no difference")
    return status


def tidy(folder: Path) -> None:
    """Take out of recordings what shows only how the server was installed: tracebacks."""
    for file in folder.glob("*.jsonl"):
        rows = [_tidied(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
        file.write_text(text, encoding="utf-8")


def _tidied(value: Any) -> Any:
    if isinstance(value, dict):
        tidied = {key: "" if key == "traceback" else _tidied(part) for key, part in value.items()}
        if "connect_error" in tidied:
            tidied["connect_error"] = tidied["connect_error"].partition(", reason_phrase")[0]
        return tidied
    return [_tidied(part) for part in value] if isinstance(value, list) else value
