"""Wire types of the file API: arguments and results, in the order and with the names of Moonraker's document."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")


def encoded(json: bytes, kind: type[T]) -> T:
    """JSON that is encoded already, in the place of a value of type `kind`, which stays in the declaration."""
    return cast(T, msgspec.Raw(json))


class ListParams(msgspec.Struct, frozen=True):
    root: str = "gcodes"


class DirectoryParams(msgspec.Struct, frozen=True):
    path: str = "gcodes"
    extended: bool = False


class PathParams(msgspec.Struct, frozen=True):
    path: str


class DeleteDirectoryParams(msgspec.Struct, frozen=True):
    path: str
    force: bool = False


class FilenameParams(msgspec.Struct, frozen=True):
    """`filename` is relative to the gcodes root."""

    filename: str


class TransferParams(msgspec.Struct, frozen=True):
    source: str
    dest: str


class ZipParams(msgspec.Struct, frozen=True):
    """`items` is a list, or one text with commas between the paths. Without `dest` the archive goes to config."""

    items: list[str] | str
    dest: str | None = None
    store_only: bool = False


class DownloadParams(msgspec.Struct, frozen=True):
    root: str
    path: str = ""


class FileInfo(msgspec.Struct, frozen=True):
    """A row of files.list; `path` is relative to the root."""

    path: str
    modified: float
    size: int
    permissions: str


class NamedFile(msgspec.Struct, frozen=True):
    """A file of a directory listing; extended listings add the metadata."""

    modified: float
    size: int
    permissions: str
    filename: str


class NamedDirectory(msgspec.Struct, frozen=True):
    modified: float
    size: int
    permissions: str
    dirname: str


class DiskUsage(msgspec.Struct, frozen=True):
    """Bytes. `free` is what users may still write, so used and free need not add up to total."""

    total: int
    used: int
    free: int


class RootName(msgspec.Struct, frozen=True):
    name: str
    permissions: str


class RootInfo(msgspec.Struct, frozen=True):
    name: str
    path: str
    permissions: str


class Directory(msgspec.Struct, frozen=True):
    """A directory's content; extended listings have the metadata in the rows of G-code files."""

    dirs: list[NamedDirectory]
    files: list[NamedFile]
    disk_usage: DiskUsage
    root_info: RootName


class ThumbnailInfo(msgspec.Struct, frozen=True):
    """`thumbnail_path` is relative to the gcodes root."""

    width: int
    height: int
    size: int
    thumbnail_path: str


class Item(msgspec.Struct, frozen=True):
    """A file or folder as it is now; all zero and empty when it is gone."""

    modified: float
    size: int
    permissions: str
    path: str
    root: str


class SourceItem(msgspec.Struct, frozen=True):
    path: str
    root: str


class ChangeNotice(msgspec.Struct, frozen=True):
    """What happened to `item`: the payload of notify_filelist_changed, and the answer of whoever made the change."""

    action: str
    item: Item
    source_item: SourceItem | UnsetType = UNSET


class ZipResult(msgspec.Struct, frozen=True):
    destination: Item
    action: str = "zip_files"


class UploadResult(msgspec.Struct, frozen=True):
    """`print_started` and `print_queued` are there for G-code files."""

    action: str
    item: Item
    print_started: bool | UnsetType = UNSET
    print_queued: bool | UnsetType = UNSET


class MetadataFailure(msgspec.Struct, frozen=True):
    """notify_metadata_update of a file that cannot be scanned."""

    filename: str
    size: int
    modified: float
    metadata_error: str
    metadata_state: str = "failed"


class MetadataChanged(msgspec.Struct, frozen=True):
    """In-process event: the metadata of a G-code file is new. `filename` is relative to the gcodes root."""

    filename: str


class FileChanged(msgspec.Struct, frozen=True):
    """In-process event: what clients are told by notify_filelist_changed."""

    notice: ChangeNotice
