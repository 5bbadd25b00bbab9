"""The endpoints that change files."""

from __future__ import annotations

from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.components.file_manager.operations import Operations
from moonraker_lite.components.file_manager.roots import Roots
from moonraker_lite.components.file_manager.types import (
    ChangeNotice,
    DeleteDirectoryParams,
    DownloadParams,
    PathParams,
    TransferParams,
    ZipParams,
    ZipResult,
)
from moonraker_lite.errors import BadRequest, NotFound


class ChangeApi:
    """Paths begin with the name of their root."""

    def __init__(self, operations: Operations, roots: Roots) -> None:
        self._do = operations
        self._roots = roots

    @endpoint("POST", "/server/files/directory", rpc="server.files.post_directory")
    async def post_directory(self, request: Request, params: PathParams) -> ChangeNotice:
        """Make a directory whose parent exists."""
        return await self._do.make_directory(params.path)

    @endpoint("DELETE", "/server/files/directory", rpc="server.files.delete_directory")
    async def delete_directory(self, request: Request, params: DeleteDirectoryParams) -> ChangeNotice:
        """Remove a directory; one that is not empty only with `force`."""
        return await self._do.remove_directory(params.path, force=params.force)

    @endpoint("POST", "/server/files/move", rpc="server.files.move")
    async def move(self, request: Request, params: TransferParams) -> ChangeNotice:
        """Move or rename a file or directory."""
        return await self._do.move(params.source, params.dest)

    @endpoint("POST", "/server/files/copy", rpc="server.files.copy")
    async def copy(self, request: Request, params: TransferParams) -> ChangeNotice:
        """Copy a file or directory."""
        return await self._do.copy(params.source, params.dest)

    @endpoint("POST", "/server/files/zip", rpc="server.files.zip")
    async def zip(self, request: Request, params: ZipParams) -> ZipResult:
        """Pack files and directories into an archive."""
        items = params.items.split(",") if isinstance(params.items, str) else params.items
        named = [item.strip() for item in items if item.strip()]
        return await self._do.zip(named, params.dest, store_only=params.store_only)

    @endpoint("DELETE", None, rpc="server.files.delete_file", via=Via.RPC)
    async def delete_file(self, request: Request, params: PathParams) -> ChangeNotice:
        """Delete a file."""
        return await self._do.delete_file(params.path)

    @endpoint("DELETE", "/server/files/{root}/{path:rest}", via=Via.HTTP)
    async def delete_named_file(self, request: Request, params: DownloadParams) -> ChangeNotice:
        """Delete the file at this address."""
        if self._roots.get(params.root) is None:
            raise NotFound("Not Found: no such root")
        return await self._do.delete_file(f"{params.root}/{params.path}")

    # The addresses of the two logs are no paths in a root; Moonraker says so with 400, too.
    @endpoint("DELETE", "/server/files/klippy.log", via=Via.HTTP)
    @endpoint("DELETE", "/server/files/moonraker.log", via=Via.HTTP)
    async def delete_log(self, request: Request) -> ChangeNotice:
        """Always refused: logs cannot be deleted."""
        raise BadRequest("Logs cannot be deleted; POST /server/logs/rollover begins a new one")
