"""The endpoints that carry files: upload, download, the two logs."""

from __future__ import annotations

import os
from pathlib import Path

from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.replies import FileReply
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.names import is_image
from moonraker_lite.components.file_manager.paths import normalize, shown
from moonraker_lite.components.file_manager.roots import Target
from moonraker_lite.components.file_manager.types import DownloadParams
from moonraker_lite.components.file_manager.uploads import Uploader
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import BadRequest, Forbidden, NotFound, Unauthorized
from moonraker_lite.klippy import KlippyClient


class TransferApi:
    """HTTP only."""

    def __init__(self, library: Library, uploader: Uploader, data: DataPath, klippy: KlippyClient) -> None:
        self._library = library
        self._uploader = uploader
        self._data = data
        self._klippy = klippy

    @endpoint("POST", "/server/files/upload", via=Via.HTTP, stream=True, wrap=False)
    async def upload(self, request: Request) -> BodySink:
        """Upload a file as multipart/form-data.

        The file is in the part `file`; the fields `root`, `path`, `checksum` (SHA-256) and `print` may come before or
        after it. The answer, 201, comes when the file is on disk and its metadata is known.
        """
        return await self._uploader.open(request)

    # Browsers load thumbnails and the pictures of themes in <img>, without credentials: those are open, as in
    # Moonraker. Everything else is refused below to whoever is not known.
    @endpoint("GET", "/server/files/{root}/{path:rest}", via=Via.HTTP, auth=False)
    async def download(self, request: Request, params: DownloadParams) -> FileReply:
        """Download a file."""
        if request.user is None and not is_image(params.path):
            raise Unauthorized("Unauthorized")
        await self._library.ready()
        target = self._target(params)
        real = await self._library.glance(lambda: self._find(target))
        if request.user is None and not is_image(real):
            raise Unauthorized("Unauthorized")
        return FileReply(Path(real), target.place.name)

    def _target(self, params: DownloadParams) -> Target:
        root = self._library.roots.get(params.root)
        if root is None:
            raise NotFound("Not Found: no such root")
        if params.path.startswith("/"):
            raise Forbidden("Forbidden: a path in a root does not begin with a slash")
        if any(ord(char) < 32 or ord(char) == 127 for char in params.path):
            raise NotFound("Not Found: no file has control characters in its name here")
        try:
            path = normalize(params.path)
        except BadRequest as error:
            raise Forbidden(error.message) from None
        return Target(root, Place(root.name, path), f"{root.name}/{shown(path)}")

    def _find(self, target: Target) -> str:
        """The real path of a file (blocking)."""
        if not target.root.readable:
            raise Forbidden(f"Forbidden: the host cannot read the files in {target.root.name}")
        real = self._library.roots.real(target)
        if os.path.isdir(real):
            raise Forbidden(f"Forbidden: {target.text} is a directory")
        if not os.path.exists(real):
            raise NotFound(f"Not Found: {target.text}")
        return real

    @endpoint("GET", "/server/files/klippy.log", via=Via.HTTP)
    async def klippy_log(self, request: Request) -> FileReply:
        """Klipper's log, wherever Klipper writes it."""
        info = self._klippy.info
        if info is not None and info.log_file:
            return FileReply(Path(info.log_file), "klippy.log")
        return FileReply(self._data.logs / "klippy.log", "klippy.log")

    @endpoint("GET", "/server/files/moonraker.log", via=Via.HTTP)
    async def moonraker_log(self, request: Request) -> FileReply:
        """This host's own log."""
        return FileReply(self._data.logs / "moonraker.log", "moonraker.log")
