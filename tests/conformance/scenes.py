"""What the recorded machine had on its disk: at the start of a scenario, and what was changed between two requests."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import sys
import zipfile
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MATERIAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "conformance"
PLAIN_MODIFIED = "Fri, 20 Nov 2026 13:31:52 GMT"  # of plain.gcode; names of records and headers hold it


def generators() -> ModuleType:
    """The generators of G-code that the recorder used; skips the test where they are absent."""
    pytest.importorskip("PIL", reason="the recorded thumbnails are made with Pillow (the extra `images`)")
    spec = importlib.util.spec_from_file_location("gen", MATERIAL / "gen.py")
    if spec is None or spec.loader is None or not (MATERIAL / "gen.py").is_file():
        pytest.skip("the generators of the recorded files are not here (../shared/conformance)")
    module = importlib.util.module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = keep
    return module


class Scene:
    """The data path of a host."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._gen = generators()
        self._steps: dict[str, dict[str, Callable[[], object]]] = {
            "06_directories": {
                "delete non-empty without force [http]": lambda: self._put("gcodes/d1/d2/in.gcode", self._gen.PLAIN),
                "delete force=false": self._fill_d1,
                "delete force [ws]": self._fill_d3,
                "DELETE with json body": lambda: (self._data / "gcodes" / "viabody").mkdir(),
            },
        }

    def begin(self, scenario: str) -> None:
        """Put there what a scenario finds."""
        self._first_files()
        begin: dict[str, Callable[[], object]] = {
            "07_move_copy_zip": self._tree_to_move,
            "07b_moving_a_root_or_config_through_dotdot": self._tree_before_moving_roots,
            "08_delete_and_external_changes": self._files_to_delete,
        }
        begin.get(scenario, lambda: None)()

    def step(self, scenario: str, name: str) -> bool:
        """Do what was done on disk before the record of this name; whether there was something that is announced."""
        if scenario == "04_download" and name.startswith("content type ."):
            self._put(f"gcodes/types/f.{name.removeprefix('content type .')}", "x")
            return False
        change = self._steps.get(scenario, {}).pop(name, None)
        if change is None:
            return False
        change()
        return True

    def upload(self, request: dict[str, Any]) -> bytes:
        """The file of an upload, of which a recording has only name and size. A right checksum is made right again."""
        if not isinstance(body := request.get("body"), dict):
            return b""
        form = body["multipart"]
        content = self._content(form["file"], form["size"])
        checksum = form["fields"].get("checksum", "")
        if len(checksum) == 64 and checksum.strip("0"):
            digest = hashlib.sha256(content).hexdigest()
            form["fields"]["checksum"] = digest.upper() if checksum.isupper() else digest
        return content

    def _content(self, name: str, size: int) -> bytes:
        gen = self._gen
        if name == "thing.ufp":
            container = io.BytesIO()
            with zipfile.ZipFile(container, "w") as archive:
                archive.writestr("/3D/model.gcode", gen.CURA)
                archive.writestr("/Metadata/thumbnail.png", gen.png(64, 64))
            return container.getvalue()
        if size > 100_000:
            return bytes(gen.prusa(200), "ascii")
        for text in (gen.CURA, gen.orca(), f"{gen.PLAIN}; changed\n"):
            if len(text) == size:
                return bytes(text, "ascii")
        return b"\x00" * size

    # -- the disk --------------------------------------------------------------------------------------------------

    def _put(self, path: str, text: str) -> Path:
        file = self._data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def _link(self, path: str, target: str) -> None:
        (self._data / path).symlink_to(target)

    def _first_files(self) -> None:
        gen, gcodes, config = self._gen, self._data / "gcodes", self._data / "config"
        for name in ("plain.gcode", ".hidden.gcode", "UPPER.GCODE", "x.nc", "x.g", "x.gco", ".hdir/inhidden.gcode"):
            self._put(f"gcodes/{name}", gen.PLAIN)
        self._put("gcodes/prusa.gcode", gen.prusa(300))
        self._put("gcodes/sub/dir/cura.gcode", gen.CURA)
        self._put("gcodes/orca ü 100%.gcode", gen.orca())
        self._put("gcodes/notes.txt", "text")
        self._put("gcodes/empty.gcode", "")
        self._put("config/sub/a.cfg", "[x]\n")
        self._put("config/.hid.cfg", "x")
        self._put("config/printer.cfg", "[printer]\nkinematics: cartesian\n")
        self._put("logs/klippy.log", "a log that is longer than the ranges\n")
        self._put("logs/moonraker.log", "another log\n")
        (gcodes / "emptydir").mkdir()
        self._link("gcodes/link.gcode", str(gcodes / "plain.gcode"))
        self._link("gcodes/linkdir", str(gcodes / "sub"))
        self._link("gcodes/broken.gcode", "/nonexistent/x.gcode")
        self._link("config/link.cfg", str(config / "printer.cfg"))
        self._link("gcodes/outlink", "/printer_nonexistent")
        modified = parsedate_to_datetime(PLAIN_MODIFIED).timestamp()
        os.utime(gcodes / "plain.gcode", (modified, modified))

    def _fill_d1(self) -> None:
        self._put("gcodes/d1/d2/in.gcode", self._gen.PLAIN)
        self._put("gcodes/d1/d2/t.txt", "x")

    def _fill_d3(self) -> None:
        self._put("gcodes/d3/a.gcode", self._gen.prusa(50))
        (self._data / "gcodes" / "d3" / "sub").mkdir()

    def _tree_before_moving_roots(self) -> None:
        self._put("gcodes/m/b.gcode", self._gen.PLAIN)
        self._put("config/m/c.cfg", "[x]\n")

    def _tree_to_move(self) -> None:
        self._put("gcodes/b.gcode", self._gen.PLAIN)  # left there when 07b was recorded
        self._put("gcodes/m/a.gcode", self._gen.prusa(100, seed=5))
        self._put("gcodes/m/d/in.gcode", self._gen.prusa(60, seed=6))
        self._put("gcodes/m/e/other.gcode", self._gen.PLAIN)
        self._put("gcodes/m/t.txt", "x")
        self._put("config/m/c.cfg", "[x]\n")

    def _files_to_delete(self) -> None:
        for name in ("x1.gcode", "x2.gcode", "x ü%.gcode", "x4.txt"):
            self._put(f"gcodes/{name}", self._gen.prusa(40, seed=9))
        self._put("config/del.cfg", "x")


def install_klipper(folder: Path) -> Path:
    """Klipper's own folders, as far as they were asked for."""
    for name in ("config/example-cartesian.cfg", "docs/Config_Reference.md", "docs/img/klipper-logo-small.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return folder
