"""`server.database.*`: what clients keep here, and copies of the database."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.printer import Printer
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import BadRequest, Conflict, Forbidden, NotFound
from moonraker_lite.gcode_metadata.model import SCANNER_VERSION
from moonraker_lite.storage import PRIVATE, Database, MetadataStore, Namespaces, backup
from moonraker_lite.storage.documents import Missing, dig, parse_key
from moonraker_lite.storage.namespaces import missing_key

METADATA = "gcode_metadata"
FORBIDDEN = "database"
OWN = "moonraker"
READ_ONLY = (OWN, METADATA)
INSTALL_VERSION = 1  # Moonraker's number for the layout of the data path that is used here, too


class DatabaseSettings(msgspec.Struct, frozen=True):
    """Options of `[database]`. Both are Moonraker's and have no effect here."""

    database_path: str | None = None
    enable_database_debug: bool = False


class ListAnswer(msgspec.Struct, frozen=True):
    namespaces: list[str]
    backups: list[str]


class GetParams(msgspec.Struct, frozen=True):
    """`key` is `"a.b.c"` or the list of its parts; without one, the whole namespace is meant."""

    namespace: str
    key: str | list[Any] | None = None


class PostParams(msgspec.Struct, frozen=True):
    namespace: str
    key: str | list[Any]
    value: Any


class DeleteParams(msgspec.Struct, frozen=True):
    namespace: str
    key: str | list[Any]


class Item(msgspec.Struct, frozen=True):
    """`key` is as the caller wrote it; `value` is what was read, written or removed."""

    namespace: str
    key: str | list[Any] | None
    value: Any


class CompactAnswer(msgspec.Struct, frozen=True):
    """Sizes of the file in bytes."""

    previous_size: int
    new_size: int


class NewBackupParams(msgspec.Struct, frozen=True):
    filename: str | None = None


class BackupParams(msgspec.Struct, frozen=True):
    filename: str


class BackupAnswer(msgspec.Struct, frozen=True):
    backup_path: str


class RestoreAnswer(msgspec.Struct, frozen=True):
    restored_tables: list[str]
    restored_namespaces: list[str]


class DatabaseApi(Component, section="database"):
    """Opens the namespaces to clients. Backups lie in `<data>/backup/database`, as Moonraker's."""

    def __init__(
        self, settings: DatabaseSettings, db: Database, data: DataPath, facts: HostFacts, printer: Printer
    ) -> None:
        self._db = db
        self._namespaces = Namespaces(db)
        self._metadata = MetadataStore(db)
        self._backups = data.root / "backup" / "database"
        self._facts = facts
        self._printer = printer

    async def start(self) -> None:
        """Fill in what clients read of the server itself in its own namespace."""
        there = await self._namespaces.get(OWN) if OWN in await self._namespaces.list() else {}
        for key, value in {
            "file_manager": {"metadata_version": SCANNER_VERSION},
            "instance_id": there.get("instance_id") or uuid.uuid4().hex,
            "validate_install": {"install_version": INSTALL_VERSION},
        }.items():
            if there.get(key) != value:
                await self._namespaces.insert(OWN, key, value)

    @endpoint("GET", "/server/database/list", rpc="server.database.list")
    async def list_namespaces(self, request: Request) -> ListAnswer:
        """The namespaces that hold something, and the backups."""
        stored = [name for name in await self._namespaces.list() if not name.startswith(PRIVATE)]
        return ListAnswer(sorted({*stored, *READ_ONLY}), await asyncio.to_thread(_names, self._backups))

    @endpoint("GET", "/server/database/item", rpc="server.database.get_item")
    async def get_item(self, request: Request, params: GetParams) -> Item:
        """The value of a key, or a whole namespace."""
        _check_readable(params.namespace)
        if params.namespace == METADATA:
            value = await self._metadata_item(params.key)
        else:
            value = await self._namespaces.get(params.namespace, params.key)
        return Item(params.namespace, params.key, value)

    @endpoint("POST", "/server/database/item", rpc="server.database.post_item")
    async def post_item(self, request: Request, params: PostParams) -> Item:
        """Set the value of a key; null removes a key of one part."""
        _check_writable(params.namespace)
        await self._namespaces.insert(params.namespace, params.key, params.value)
        return Item(params.namespace, params.key, params.value)

    @endpoint("DELETE", "/server/database/item", rpc="server.database.delete_item")
    async def delete_item(self, request: Request, params: DeleteParams) -> Item:
        """Remove a key; the answer holds what it held."""
        _check_writable(params.namespace)
        return Item(params.namespace, params.key, await self._namespaces.delete(params.namespace, params.key))

    @endpoint("POST", "/server/database/compact", rpc="server.database.compact")
    async def compact(self, request: Request) -> CompactAnswer:
        """Make the database's file as small as it can be. Not while printing: it makes every other access wait."""
        self._check_idle()
        return CompactAnswer(*await backup.compact(self._db))

    @endpoint("POST", "/server/database/backup", rpc="server.database.post_backup")
    async def post_backup(self, request: Request, params: NewBackupParams) -> BackupAnswer:
        """Write a copy of the database; one of the same name is replaced."""
        self._check_idle()
        name = params.filename if params.filename is not None else time.strftime("sqldb-backup-%Y%m%d-%H%M%S.db")
        path = self._path(name)
        await asyncio.to_thread(self._backups.mkdir, parents=True, exist_ok=True, mode=0o700)
        await backup.save(self._db, path)
        return BackupAnswer(str(path))

    @endpoint("DELETE", "/server/database/backup", rpc="server.database.delete_backup")
    async def delete_backup(self, request: Request, params: BackupParams) -> BackupAnswer:
        """Remove a copy."""
        path = self._path(params.filename)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound(f"Backup file {params.filename} does not exist")
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return BackupAnswer(str(path))

    @endpoint("POST", "/server/database/restore", rpc="server.database.restore")
    async def restore(self, request: Request, params: BackupParams) -> RestoreAnswer:
        """Replace everything by a copy. The host restarts afterwards, so that nobody works on with what was."""
        self._check_idle()
        path = self._path(params.filename)
        if not await asyncio.to_thread(path.is_file):
            raise BadRequest(f"Restoration File {path} does not exist")
        answer = RestoreAnswer(*await backup.restore(self._db, path))
        if self._facts.restart is not None:
            self._facts.restart()
        return answer

    async def _metadata_item(self, key: str | list[Any] | None) -> Any:
        """The first part of a key is a file's path here."""
        if key is None:
            return {row.path: msgspec.Raw(row.data) for row in await self._metadata.load_all()}
        path, *rest = parse_key(key)
        row = await self._metadata.get(path)
        try:
            if row is None:
                raise Missing
            return dig(msgspec.json.decode(row.data), rest)
        except Missing:
            raise missing_key(METADATA, key) from None

    def _path(self, name: str) -> Path:
        """Where a backup of this name lies: directly in the folder, whatever the name is."""
        path = self._backups / name
        plain = name.isprintable() and path.name == name and name not in ("", "..") and len(name.encode()) <= 200
        if not plain or backup.is_part(path):
            raise BadRequest(f"Invalid name {name}.")
        return path

    def _check_idle(self) -> None:
        if self._printer.print_state == "printing":
            raise Conflict("Not while printing: this makes every other access to the database wait")


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not backup.is_part(path))


def _check_readable(namespace: str) -> None:
    if namespace == FORBIDDEN or namespace.startswith(PRIVATE):
        raise Forbidden(f"Read/Write access to namespace '{namespace}' is forbidden")


def _check_writable(namespace: str) -> None:
    _check_readable(namespace)
    if namespace in READ_ONLY:
        raise Forbidden(f"Write access to namespace '{namespace}' is forbidden")
