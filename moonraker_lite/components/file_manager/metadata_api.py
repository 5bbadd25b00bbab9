"""The endpoints about G-code files: metadata, scanning on demand, thumbnails."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.metadata import MetadataState
from moonraker_lite.components.file_manager.names import is_scanned
from moonraker_lite.components.file_manager.paths import shown
from moonraker_lite.components.file_manager.types import FilenameParams, ThumbnailInfo, encoded
from moonraker_lite.components.file_manager.worker import ScanFailed
from moonraker_lite.errors import BadRequest, NotFound

PATIENCE = 1.0  # s that a request waits for a scan that is under way


class MetadataApi:
    """Files are named relative to the gcodes root, exactly as files.list gives them."""

    def __init__(self, library: Library) -> None:
        self._library = library

    @endpoint("GET", "/server/files/metadata", rpc="server.files.metadata")
    async def metadata(self, request: Request, params: FilenameParams) -> dict[str, Any]:
        """What is known of a G-code file."""
        await self._awaited(params.filename)
        return self._answer(params.filename)

    @endpoint("POST", "/server/files/metascan", rpc="server.files.metascan")
    async def metascan(self, request: Request, params: FilenameParams) -> dict[str, Any]:
        """Scan a file again, whether it has changed or not, and answer its metadata."""
        await self._library.ready()
        path = params.filename
        place = Place("gcodes", path)
        if not is_scanned(path) and path:
            raise BadRequest(f"File {shown(path)} is not a valid gcode file")
        if self._library.index.entry(place) is None:
            await self._library.settle(place)
        if not path or self._library.canonical(place) != place or self._library.index.entry(place) is None:
            raise NotFound(f"File '{shown(path)}' does not exist")
        try:
            await self._library.scanning.scan(path, force=True)
        except ScanFailed as error:
            raise BadRequest(f"Failed to scan '{shown(path)}': {error}") from None
        return self._answer(path)

    @endpoint("GET", "/server/files/thumbnails", rpc="server.files.thumbnails")
    async def thumbnails(self, request: Request, params: FilenameParams) -> list[ThumbnailInfo]:
        """The pictures of a G-code file; an empty list for files that are not known."""
        await self._awaited(params.filename)
        record = self._library.book.get(params.filename)
        if record is None:
            return []
        folder = Place("gcodes", params.filename).parent
        return [
            ThumbnailInfo(
                picture["width"], picture["height"], picture["size"], folder.child(picture["relative_path"]).path
            )
            for picture in record.thumbnails
        ]

    async def _awaited(self, path: str) -> None:
        """Wait for a scan of this file that is under way, but not for long."""
        await self._library.ready()
        if path not in self._library.book and is_scanned(path):
            await self._library.settle()
        place = Place("gcodes", path)
        state = self._library.scanning.state(place)
        if state is not None and state[0] is MetadataState.PARTIAL:
            self._library.passes.ask(path, urgent=True)
        elif state is not None and state[0] is MetadataState.SCANNING and self._library.scanning.is_due(place):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._library.scanning.wait(path)

    def _answer(self, path: str) -> dict[str, Any]:
        state = self._library.scanning.state(Place("gcodes", path))
        scanning = state is not None and state[0] is MetadataState.SCANNING
        answer = self._library.book.answer(path, scanning=scanning)
        if answer is None:
            why = (
                f": {state[1] or 'the file is being scanned'}"
                if scanning and state
                else f": {state[1]}"
                if state is not None
                else ""
            )
            raise NotFound(f"Metadata not available for <{shown(path)}>{why}")
        return encoded(bytes(answer), dict[str, Any])
