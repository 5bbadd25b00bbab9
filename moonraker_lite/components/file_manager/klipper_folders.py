"""Klipper's own folders, its examples and documents, as roots that can be read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from moonraker_lite.api.facts import HostFacts
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.roots import Root
from moonraker_lite.errors import NotFound
from moonraker_lite.klippy.state import KlippyInfo
from moonraker_lite.storage import Namespaces

_NAMESPACE = "moonraker"
_KEY = "klippy_connection"  # Moonraker's, with these members
_FOLDERS = (("config_examples", "config"), ("docs", "docs"))
_CONFIG_PATH = "file_manager: config path"


class KlipperFolders:
    """Where Klipper is installed is remembered, so that the roots are there while it does not run, too."""

    def __init__(self, library: Library, namespaces: Namespaces, facts: HostFacts, config: Path) -> None:
        """`config` is the config root."""
        self._library = library
        self._namespaces = namespaces
        self._facts = facts
        self._config = config
        self._known: dict[str, Any] = {}
        self._lock = asyncio.Lock()

    async def recall(self) -> None:
        """Show the folders of the Klipper that an earlier run knew."""
        async with self._lock:
            try:
                known = await self._namespaces.get(_NAMESPACE, _KEY)
            except NotFound:
                return
            if not self._known and isinstance(known, dict) and isinstance(path := known.get("path"), str):
                self._known = known
                await self._show(Path(path))

    async def learn(self, info: KlippyInfo) -> None:
        """Show the folders of the Klipper that runs, and remember where they are."""
        if not info.klipper_path:
            return
        async with self._lock:
            await self._show(Path(info.klipper_path))
            told = {"path": info.klipper_path, "executable": info.python_path}
            if told != self._known:
                self._known = told
                await self._namespaces.insert(_NAMESPACE, _KEY, told)

    async def _show(self, base: Path) -> None:
        for name, part in _FOLDERS:
            folder = base / part
            if await self._library.thread(folder.is_dir):
                await self._library.add_root(Root(name, folder, writable=False, watched=False, reserved=True))

    async def check_config(self, file: str) -> None:
        """Warn unless Klipper reads its configuration (`file`) where clients see it."""
        real, root = await self._library.thread(lambda: (os.path.realpath(file), os.path.realpath(self._config)))
        if real.startswith(f"{root}/"):
            self._facts.unwarn(_CONFIG_PATH)
        else:
            self._facts.warn(
                f"Klipper reads its configuration from {file}, which is not in the config root; "
                "front ends cannot show or edit it. Move it there, or set check_klipper_config_path: False",
                _CONFIG_PATH,
            )
