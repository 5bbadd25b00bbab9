"""The reference of the configuration names every section and option that the code reads."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.components import COMPONENTS
from moonraker_lite.components.file_manager.settings import SecretsSettings
from moonraker_lite.config.settings import PrinterSettings, ServerSettings
from moonraker_lite.registry import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def sections() -> dict[str, type[msgspec.Struct]]:
    found: dict[str, type[msgspec.Struct]] = {
        "server": ServerSettings,
        "printer": PrinterSettings,
        "secrets": SecretsSettings,
    }
    for kind in load(COMPONENTS):
        hints = typing.get_type_hints(kind.__init__)
        for name in inspect.signature(kind).parameters:
            wanted = hints[name]
            if typing.get_origin(wanted) is dict:
                wanted = typing.get_args(wanted)[1]
            if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) and wanted.__name__.endswith("Settings"):
                found[kind.section] = wanted
    return found


@pytest.mark.parametrize("section", sections())
def test_every_section_and_option_is_in_the_reference(section: str) -> None:
    text = PAGE.read_text()
    assert f"[{section}]" in text or f"[{section} NAME]" in text
    missing = [name for name in sections()[section].__struct_fields__ if f"`{name}`" not in text]
    assert missing == []


def test_the_sections_are_found() -> None:
    assert {"authorization", "file_manager", "machine", "webcam", "job_queue", "octoprint_compat"} <= set(sections())
