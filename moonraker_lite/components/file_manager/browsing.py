"""Listings: answered from the index, which is checked against the disk now and then."""

from __future__ import annotations

import asyncio
import os

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.components.file_manager import listing
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.facts import Key, disk_usage
from moonraker_lite.components.file_manager.index import Node
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.paths import shown
from moonraker_lite.components.file_manager.types import (
    Directory,
    DirectoryParams,
    DiskUsage,
    FileInfo,
    ListParams,
    NamedDirectory,
    NamedFile,
    RootInfo,
    RootName,
    encoded,
)
from moonraker_lite.errors import BadRequest

FRESH_SECONDS = 1.0  # s for which disk usage, and that a folder is what the index says, are believed
MAX_KEPT = 1000


class Browsing:
    """The endpoints that list."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._usage: dict[Key, DiskUsage] = {}

    @endpoint("GET", "/server/files/roots", rpc="server.files.roots")
    async def roots(self, request: Request) -> list[RootInfo]:
        """The registered roots."""
        await self._library.ready()
        return [RootInfo(root.name, str(root.path), root.permissions) for root in self._library.roots]

    @endpoint("GET", "/server/files/list", rpc="server.files.list")
    async def list_files(self, request: Request, params: ListParams) -> list[FileInfo]:
        """All files of a root, those in subdirectories included; of gcodes only G-code."""
        await self._library.ready()
        root = self._library.roots.get(params.root)
        node = self._library.index.roots.get(params.root)
        if root is None or node is None:
            raise BadRequest(f"Failed to build file list, invalid root: {shown(params.root)}")
        await self._checked(node)
        return encoded(await listing.file_list(node, root, self._library.index), list[FileInfo])

    @endpoint("GET", "/server/files/directory", rpc="server.files.get_directory")
    async def get_directory(self, request: Request, params: DirectoryParams) -> Directory:
        """What a directory holds, with the metadata of G-code files when `extended`."""
        await self._library.ready()
        target = self._library.roots.target(params.path)
        node = await self._folder(target.place)
        if node is None:
            raise BadRequest(f"Directory does not exist ({target.text})")
        usage = await self._checked(node)
        extras = None
        if params.extended and node.place.root == "gcodes":
            extras = self._library.scanning.members
            self._library.scanning.look(node.place)
        return Directory(
            dirs=encoded(await listing.directories(node, target.root), list[NamedDirectory]),
            files=encoded(await listing.files(node, target.root, extras), list[NamedFile]),
            disk_usage=usage,
            root_info=RootName(target.root.name, target.root.permissions),
        )

    async def _folder(self, place: Place) -> Node | None:
        """The folder, also one that was made a moment ago and of which the kernel has told but not we."""
        node = self._library.index.folder(place)
        if node is None:
            await self._library.settle(place)
            node = self._library.index.folder(place)
        return node

    async def _checked(self, node: Node) -> DiskUsage:
        """The disk's usage. On the way the folder is compared if it is not what the index says: that happens where the
        kernel does not tell, with file systems that are mounted later or changed by others."""
        now = asyncio.get_running_loop().time()
        if node.wd is None:
            await self._library.follower.compare(node)
        key = node.key or (0, 0)
        known = self._usage.get(key)
        if known is not None and now - node.checked < FRESH_SECONDS:
            return known
        hidden = [name for name, entry in node.entries.items() if entry.hidden]
        real = node.real
        usage, found = await self._library.glance(lambda: _inspect(real, hidden))
        if found != (key, node.mtime_ns):
            await self._library.settle()
            if found is None or found[0] != key or found[1] > node.mtime_ns:
                await self._library.follower.compare(node)
        node.checked = now
        if len(self._usage) > MAX_KEPT:
            self._usage.clear()
        self._usage[key] = usage
        return usage


def _inspect(real: str, hidden: list[str]) -> tuple[DiskUsage, tuple[Key, int] | None]:
    """Disk usage, and the identity and time of a folder (blocking). None for these when one of the `hidden`, which are
    broken links, leads somewhere now."""
    try:
        found = os.stat(real)
        usage = DiskUsage(*disk_usage(real))
    except OSError:
        return DiskUsage(0, 0, 0), None
    if any(os.path.isfile(path) or os.path.isdir(path) for path in (os.path.join(real, name) for name in hidden)):
        return usage, None
    return usage, ((found.st_dev, found.st_ino), found.st_mtime_ns)
