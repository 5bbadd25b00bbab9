"""Whatever happens on disk: a client that follows the announced changes ends up with what is there.

The test keeps a model of the disk, turns random actions on it into the observations that the follower would make, and
plays a client that lists a new folder when it is told of one and otherwise believes the announcements.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.components.file_manager.changes import Action, Event, Observation, Place
from moonraker_lite.components.file_manager.reducer import Reducer

NAMES = ("a.gcode", "b.gcode", "t.txt")
FOLDERS = ("", "d", "e", "d/x")


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


FILES = st.builds(join, st.sampled_from(FOLDERS), st.sampled_from(NAMES))
ACTIONS = st.one_of(
    st.tuples(st.just("write"), FILES, FILES),
    st.tuples(st.just("open"), FILES, FILES),
    st.tuples(st.just("close"), FILES, FILES),
    st.tuples(st.just("unlink"), FILES, FILES),
    st.tuples(st.just("rename"), FILES, FILES),
    st.tuples(st.just("mkdir"), st.sampled_from(FOLDERS[1:]), FILES),
    st.tuples(st.just("rmtree"), st.sampled_from(FOLDERS[1:]), FILES),
    st.tuples(st.just("renamedir"), st.sampled_from(FOLDERS[1:]), st.sampled_from(FOLDERS[1:])),
    st.tuples(st.just("scan"), FILES, FILES),
    st.tuples(st.just("wait"), FILES, FILES),
    st.tuples(st.just("long"), FILES, FILES),
)


def place(path: str) -> Place:
    return Place("gcodes", path)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.folders: set[str] = {""}
        self.files: dict[str, int] = {}
        self.open: set[str] = set()
        self.version = 0
        self.scanned: dict[str, int] = {}
        self.seen_files: dict[str, int] = {}
        self.seen_folders: set[str] = {""}
        self.reducer = Reducer(self.wants, lambda p: None)

    def wants(self, where: Place) -> bool:
        path = where.path
        return path.endswith(".gcode") and path in self.files and self.scanned.get(path) != self.files[path]

    def see(self, event: Event, path: str, source: str | None = None, **flags: bool) -> None:
        self.reducer.observe(Observation(event, place(path), place(source) if source else None, **flags), self.now)

    def exists(self, path: str) -> bool:
        return path in self.files or path in self.folders

    def act(self, kind: str, path: str, other: str) -> None:
        parent = path.rpartition("/")[0]
        if kind in ("write", "open") and parent in self.folders and path not in self.folders:
            self.version += 1
            self.see(Event.FILE_WRITTEN if path in self.files else Event.FILE_APPEARED, path)
            self.files[path] = self.version
            self.see(Event.FILE_WRITTEN, path)
            self.open.add(path)
            if kind == "write":
                self.close(path)
        elif kind == "close" and path in self.open:
            self.close(path)
        elif kind == "unlink" and path in self.files:
            self.unlink(path)
        elif kind == "rename" and path in self.files and path != other:
            self.rename(path, other)
        elif kind == "mkdir" and parent in self.folders and not self.exists(path):
            self.folders.add(path)
            self.see(Event.DIR_APPEARED, path)
        elif kind == "rmtree" and path in self.folders:
            self.rmtree(path)
        elif kind == "renamedir" and path in self.folders:
            self.rename_folder(path, other)
        elif kind == "scan":
            self.scan(path)
        elif kind in ("wait", "long"):
            self.wait(0.1 if kind == "wait" else 1.0)

    def close(self, path: str) -> None:
        self.open.discard(path)
        self.see(Event.FILE_CLOSED, path)

    def unlink(self, path: str) -> None:
        del self.files[path]
        self.open.discard(path)
        self.see(Event.FILE_VANISHED, path)

    def rename(self, path: str, other: str) -> None:
        if other in self.folders or other.rpartition("/")[0] not in self.folders:
            return
        replaced = other in self.files
        self.files[other] = self.files.pop(path)
        if path in self.scanned:
            self.scanned[other] = self.scanned.pop(path)
        self.open.discard(other)
        if path in self.open:
            self.open.discard(path)
            self.open.add(other)
        self.see(Event.FILE_MOVED, other, path, replaced=replaced)

    def rmtree(self, path: str) -> None:
        for below in [f for f in self.files if f.startswith(f"{path}/")]:
            self.unlink(below)
        for folder in sorted((f for f in self.folders if f == path or f.startswith(f"{path}/")), reverse=True):
            self.folders.discard(folder)
            self.see(Event.DIR_VANISHED, folder)

    def rename_folder(self, path: str, other: str) -> None:
        if self.exists(other) or other.startswith(f"{path}/") or other.rpartition("/")[0] not in self.folders:
            return
        for mapping in (self.files, self.scanned):
            for old in [f for f in mapping if f.startswith(f"{path}/")]:
                mapping[other + old[len(path) :]] = mapping.pop(old)
        self.open = {other + f[len(path) :] if f.startswith(f"{path}/") else f for f in self.open}
        self.folders = {other + f[len(path) :] if f == path or f.startswith(f"{path}/") else f for f in self.folders}
        self.see(Event.DIR_MOVED, other, path)

    def scan(self, path: str) -> None:
        if path in self.files:
            self.scanned[path] = self.files[path]
            self.reducer.scanned(place(path), self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        self.deliver()
        while (due := self.reducer.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.reducer.advance(self.now)
            self.deliver()
        self.now = end

    def deliver(self) -> None:
        """What the client makes of it; files in the index are as they are now when it asks."""
        for change in self.reducer.out:
            path = change.place.path
            if change.source is not None:
                self.forget(change.source.path)
            if change.action.removes:
                self.forget(path)
            elif path in self.folders:
                self.seen_folders |= {f for f in self.folders if f == path or f.startswith(f"{path}/")}
                self.seen_files |= {f: v for f, v in self.files.items() if f.startswith(f"{path}/")}
            elif path in self.files and change.action is not Action.CREATE_DIR:
                self.seen_files[path] = self.files[path]
        self.reducer.out = []

    def forget(self, path: str) -> None:
        self.seen_folders = {f for f in self.seen_folders if f != path and not f.startswith(f"{path}/")}
        self.seen_files = {f: v for f, v in self.seen_files.items() if f != path and not f.startswith(f"{path}/")}


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_a_client_that_believes_us_sees_what_is_there(actions: list[tuple[str, str, str]]) -> None:
    world = World()
    for action in actions:
        world.act(*action)
    for path in tuple(world.open):
        world.close(path)
    world.wait(40)
    for path in tuple(world.files):
        world.scan(path)
    world.wait(40)
    assert world.seen_folders == world.folders
    assert world.seen_files == world.files
    assert world.reducer.next_due() is None
    assert world.reducer.idle
