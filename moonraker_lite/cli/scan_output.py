"""Metadata as tables and as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.cli.scan_files import Scanned


def print_json(scanned: Iterable[Scanned], *, single: bool) -> None:
    """An object for one file, otherwise a list. Nothing when the one file could not be scanned."""
    objects = [_with_name(item) for item in scanned]
    if single and not objects:
        return
    text = msgspec.json.encode(objects[0] if single else objects)
    print(msgspec.json.format(text, indent=2).decode())


def print_lines(scanned: Iterable[Scanned]) -> None:
    """One object per line, each at once: whoever reads them need not wait for the last."""
    for item in scanned:
        print(msgspec.json.encode(_with_name(item)).decode(), flush=True)


def print_table(scanned: list[Scanned]) -> None:
    """All about one file, or a line for each of several."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not scanned:
        return
    if len(scanned) == 1:
        path, facts = scanned[0].path, scanned[0].facts or {}
        table = Table(title=escape(printable(path.name)), box=box.SIMPLE, show_header=False)
        for field, value in facts.items():
            table.add_row(field, escape(_shown(field, value)))
    else:
        table = Table(box=box.SIMPLE)
        for heading in ("File", "Slicer", "Time", "Filament", "Weight", "Height", "Layers", "Objects", "Pictures"):
            table.add_column(heading, justify="left" if heading in ("File", "Slicer") else "right")
        for item in scanned:
            table.add_row(*map(escape, _row(item.path, item.facts or {})))
    Console(file=sys.stdout).print(table)


def printable(text: str) -> str:
    """Without what would steer a terminal: names and values come from files that anybody made."""
    text = os.fsencode(text).decode("utf-8", "replace")
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def _with_name(item: Scanned) -> dict[str, Any]:
    return (item.facts or {}) | {"filename": os.fsencode(item.path).decode("utf-8", "replace")}


def _row(path: Path, facts: dict[str, Any]) -> tuple[str, ...]:
    return (
        printable(str(path)),
        printable(f"{facts['slicer']} {facts['slicer_version']}"),
        _shown("estimated_time", facts.get("estimated_time")),
        f"{facts['filament_total'] / 1000:.2f} m" if "filament_total" in facts else "",
        f"{facts['filament_weight_total']:.1f} g" if "filament_weight_total" in facts else "",
        f"{facts['object_height']:g} mm" if "object_height" in facts else "",
        str(facts.get("layer_count", "")),
        str(len(facts.get("objects", [])) or ""),
        str(len(facts.get("thumbnails", [])) or ""),
    )


def _shown(field: str, value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if field in ("estimated_time", "estimated_time_silent", "first_layer_time", "progress_time"):
        minutes = round(value / 60)
        return f"{minutes // 60}h {minutes % 60:02}m" if minutes >= 60 else f"{minutes}m"
    if field == "thumbnails":
        return printable("\n".join(f"{item['width']}x{item['height']} {item['relative_path']}" for item in value))
    if field == "objects":
        return printable("\n".join(map(_object, value)))
    if isinstance(value, dict):
        return printable(", ".join(f"{key} {part}" for key, part in value.items()))
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _object(item: dict[str, Any]) -> str:
    center = item.get("center")
    return item["name"] if center is None else f"{item['name']} at {center[0]:g}, {center[1]:g}"
