"""Components of other people's packages, found by their entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonraker_lite.registry import ENTRY_POINTS, load_third_party

MODULE = """\
from moonraker_lite.component import Component

class Lamp(Component, section="lamp"):
    pass
"""


def install(folder: Path, entry: str) -> None:
    (folder / "bench_lamp.py").write_text(MODULE)
    info = folder / "lamp-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{entry}\n")


def test_nobody_has_any() -> None:
    assert load_third_party() == []


def test_installed_component_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "lamp = bench_lamp:Lamp")
    monkeypatch.syspath_prepend(tmp_path)
    assert [kind.__name__ for kind in load_third_party()] == ["Lamp"]


def test_broken_one_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, "lamp = bench_lamp:NoSuchThing")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_third_party() == []
    assert "lamp" in caplog.text
