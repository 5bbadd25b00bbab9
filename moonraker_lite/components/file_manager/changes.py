"""What can happen to a file or folder, and where: the words that the index, the reducer and the API share."""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec


class Place(NamedTuple):
    """A file or folder by its root and its path in it; an empty path is the root itself."""

    root: str
    path: str

    def __str__(self) -> str:
        return f"{self.root}/{self.path}" if self.path else self.root

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Place:
        return Place(self.root, self.path.rpartition("/")[0])

    def child(self, name: str) -> Place:
        return Place(self.root, f"{self.path}/{name}" if self.path else name)

    def inside(self, folder: Place) -> bool:
        """Whether this stands somewhere below `folder` (not the folder itself)."""
        if self.root != folder.root:
            return False
        return self.path.startswith(f"{folder.path}/") if folder.path else bool(self.path)

    def moved(self, folder: Place, target: Place) -> Place:
        """Where this is after `folder`, which holds it or is it, became `target`."""
        rest = self.path[len(folder.path) :].lstrip("/")
        if not rest:
            return target
        return Place(target.root, f"{target.path}/{rest}" if target.path else rest)


class Action(enum.Enum):
    """The word that `notify_filelist_changed` and the answers use."""

    CREATE_FILE = "create_file"
    MODIFY_FILE = "modify_file"
    DELETE_FILE = "delete_file"
    MOVE_FILE = "move_file"
    CREATE_DIR = "create_dir"
    DELETE_DIR = "delete_dir"
    MOVE_DIR = "move_dir"
    ROOT_UPDATE = "root_update"

    @property
    def removes(self) -> bool:
        return self in (Action.DELETE_FILE, Action.DELETE_DIR)


class Change(msgspec.Struct, frozen=True):
    """One thing that happened, as clients are told of it. `source` is where a moved item was."""

    action: Action
    place: Place
    source: Place | None = None


class Event(enum.Enum):
    """What was seen on disk, file by file, in the order in which it happened."""

    FILE_APPEARED = enum.auto()  # a name that was not there; it may still be written
    FILE_WRITTEN = enum.auto()  # its content is other than it was, and may go on changing
    FILE_CLOSED = enum.auto()  # the writer is done
    FILE_TOUCHED = enum.auto()  # only its time changed
    FILE_VANISHED = enum.auto()
    FILE_MOVED = enum.auto()
    DIR_APPEARED = enum.auto()
    DIR_VANISHED = enum.auto()
    DIR_MOVED = enum.auto()


class Observation(msgspec.Struct, frozen=True):
    """One event on disk. `source` for moves; `complete`: a file that nobody is writing; `replaced`: the target of the
    move was there before."""

    event: Event
    place: Place
    source: Place | None = None
    complete: bool = False
    replaced: bool = False
