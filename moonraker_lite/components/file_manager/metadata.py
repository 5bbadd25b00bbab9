"""Metadata of G-code files: kept encoded in memory, and in the database behind.

A record is the JSON object that clients get, without the file's name. Its first members are always size, modified and
uuid, so that listings, which have the first two anyway, can take the rest as it is.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from moonraker_lite.components.file_manager.index import Entry
from moonraker_lite.components.file_manager.listing import seconds
from moonraker_lite.gcode_metadata.computed import is_wanting, merged
from moonraker_lite.storage import MetadataRow, MetadataStore

_ENCODER = msgspec.json.Encoder()
BATCH = 500  # files that are written in one transaction
NO_VERSION = 0  # of a record that is to be found again
_REST = b'"uuid":'
_PARTIAL = b',"metadata_state":"partial",'
_FAILED = b',"metadata_state":"failed",'


class MetadataState(enum.Enum):
    """How much of a file's metadata is known: the field `metadata_state`."""

    SCANNING = "scanning"  # it is being read, or will be
    PARTIAL = "partial"  # what the file states; its moves are still to be followed
    COMPLETE = "complete"
    FAILED = "failed"  # nothing can be known; `metadata_error` says why


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """What is known of a file of this size and time. `stale`: an earlier version of the scanner found it."""

    size: int
    mtime_ns: int
    data: bytes
    stale: bool = False

    def matches(self, entry: Entry) -> bool:
        """Whether this is about the file as it is now."""
        return not self.stale and self.size == entry.size and self.mtime_ns == entry.mtime_ns

    def is_of(self, entry: Entry) -> bool:
        """Whether this is about the file as it is now, even if an older scanner found it."""
        return self.size == entry.size and self.mtime_ns == entry.mtime_ns

    @property
    def state(self) -> MetadataState:
        """How much is known."""
        if _PARTIAL in self.data:
            return MetadataState.PARTIAL
        return MetadataState.FAILED if _FAILED in self.data else MetadataState.COMPLETE

    def fields(self) -> dict[str, Any]:
        """The record as an object."""
        found: dict[str, Any] = msgspec.json.decode(self.data)
        return found

    @property
    def thumbnails(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.fields().get("thumbnails") or []
        return found


def make(
    size: int, mtime_ns: int, found: dict[str, Any], before: Metadata | None = None, *, follow_moves: bool = False
) -> Metadata:
    """The record of a scan. `before` is the earlier one: the last print of the same content stays known. With
    `follow_moves` it is partial when the file does not state everything."""
    fields: dict[str, Any] = {"size": size, "modified": seconds(mtime_ns)}
    fields["uuid"] = found.get("uuid") or str(uuid.uuid4())
    fields.update((name, value) for name, value in found.items() if name not in ("filename", *fields))
    same = before is not None and (before.size, before.mtime_ns) == (size, mtime_ns)
    last = before.fields() if before is not None and same else {}
    state = MetadataState.PARTIAL if follow_moves and is_wanting(found) else MetadataState.COMPLETE
    if (problem := fields.pop("problem", None)) is not None:  # a damaged container
        fields["metadata_error"] = problem
        state = MetadataState.FAILED
    fields["metadata_state"] = state.value
    fields["print_start_time"] = last.get("print_start_time")
    fields["job_id"] = last.get("job_id")
    return Metadata(size, mtime_ns, _ENCODER.encode(fields))


def completed(record: Metadata, found: dict[str, Any]) -> Metadata:
    """A partial record with what its moves say."""
    fields = merged(record.fields(), found)
    kept = {name: fields.pop(name, None) for name in ("metadata_state", "print_start_time", "job_id")}
    kept["metadata_state"] = MetadataState.COMPLETE.value
    return msgspec.structs.replace(record, data=_ENCODER.encode({**fields, **kept}))


def changed(record: Metadata, **values: Any) -> Metadata:
    """A record with other values in its existing members."""
    return msgspec.structs.replace(record, data=_ENCODER.encode({**record.fields(), **values}))


class MetadataBook:
    """All records by path in the gcodes root. What changes is written to the database by `write`, together."""

    def __init__(self, store: MetadataStore, partial: Callable[[str], None] = lambda path: None) -> None:
        """`partial` is told of each file that gets a partial record."""
        self._store = store
        self._partial = partial
        self._records: dict[str, Metadata] = {}
        self._changed: set[str] = set()
        self._version = 0

    async def load(self, version: int) -> None:
        """Read what earlier runs found.

        Raises:
            StorageError: the database cannot be read.
        """
        self._version = version
        for row in await self._store.load_all():
            self._records[row.path] = Metadata(row.size, row.mtime_ns, row.data, stale=row.version != version)

    def outdate(self, version: int) -> None:
        """All records were found by another version than this one."""
        self._version = version
        for path, record in self._records.items():
            self._records[path] = msgspec.structs.replace(record, stale=True)

    def __contains__(self, path: str) -> bool:
        return path in self._records

    @property
    def unwritten(self) -> bool:
        return bool(self._changed)

    def get(self, path: str) -> Metadata | None:
        return self._records.get(path)

    def paths(self) -> Iterator[str]:
        return iter(tuple(self._records))

    def put(self, path: str, record: Metadata) -> None:
        self._records[path] = record
        self._changed.add(path)
        if record.state is MetadataState.PARTIAL:
            self._partial(path)

    def remove(self, path: str) -> Metadata | None:
        """Forget a file; gives what was known of it."""
        record = self._records.pop(path, None)
        if record is not None:
            self._changed.add(path)
        return record

    def move(self, source: str, target: str) -> Metadata | None:
        """A file was moved, over another perhaps; gives what was known of that one."""
        over = self.remove(target)
        record = self.remove(source)
        if record is not None:
            self.put(target, record)
        return over

    def move_tree(self, source: str, target: str) -> None:
        """A folder was moved."""
        for path in self._below(source):
            self.move(path, target + path[len(source) :])

    def copy_tree(self, source: str, target: str) -> None:
        """A folder was copied, pictures and times included: what was known of its files is known of the copies."""
        for path in self._below(source):
            record = self._records[path]
            fresh = changed(record, uuid=str(uuid.uuid4()), print_start_time=None, job_id=None)
            self.put(target + path[len(source) :], fresh)

    def remove_tree(self, folder: str) -> None:
        """A folder is gone with all that was in it."""
        for path in self._below(folder):
            self.remove(path)

    def _below(self, folder: str) -> list[str]:
        prefix = f"{folder}/"
        return [path for path in self._records if path.startswith(prefix)]

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget all files but these."""
        for path in self._records.keys() - set(paths):
            self.remove(path)

    async def write(self) -> None:
        """Bring the database up to date, in transactions of at most BATCH files.

        Raises:
            StorageError: it cannot be written; what was not written stays noted.
        """
        while self._changed:
            batch = set(islice(self._changed, BATCH))
            self._changed -= batch
            try:
                await self._store.remove_many([path for path in batch if path not in self._records])
                await self._store.put_many(self._rows(batch))
            except BaseException:
                self._changed |= batch
                raise

    def _rows(self, paths: Iterable[str]) -> list[MetadataRow]:
        return [
            MetadataRow(path, record.size, record.mtime_ns, NO_VERSION if record.stale else self._version, record.data)
            for path in paths
            if (record := self._records.get(path)) is not None
        ]

    # -- as clients get it -----------------------------------------------------------------------------------------

    def members(self, path: str, *, scanning: bool = False) -> bytes:
        """The members that an extended listing adds to a file's row; empty when nothing is known. `scanning`: the
        record is of an earlier content."""
        record = self._records.get(path)
        if record is None:
            return b""
        members = record.data[record.data.index(_REST) : -1]
        return _as_scanning(members) if scanning else members

    def answer(self, path: str, *, scanning: bool = False) -> msgspec.Raw | None:
        """The record as server.files.metadata answers it, encoded."""
        record = self._records.get(path)
        if record is None:
            return None
        members = _as_scanning(record.data[:-1]) if scanning else record.data[:-1]
        return msgspec.Raw(b'%b,"filename":%b}' % (members, _ENCODER.encode(path)))


def _as_scanning(members: bytes) -> bytes:
    begin, found, rest = members.rpartition(b',"metadata_state":"')
    return begin + found + MetadataState.SCANNING.value.encode() + rest[rest.index(b'"') :] if found else members
