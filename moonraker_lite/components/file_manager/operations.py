"""What clients do to files: move, copy, delete, make and remove directories, pack. Each is refused when a print needs
the file, and announced once it is done."""

from __future__ import annotations

import os
import stat
import time

from moonraker_lite.components.file_manager import listing
from moonraker_lite.components.file_manager.archive import pack
from moonraker_lite.components.file_manager.changes import Action, Change
from moonraker_lite.components.file_manager.copying import copy_file, copy_tree
from moonraker_lite.components.file_manager.disk_errors import explained
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.library import Library, Made
from moonraker_lite.components.file_manager.names import is_scanned
from moonraker_lite.components.file_manager.removing import remove_tree
from moonraker_lite.components.file_manager.roots import Folder, Target
from moonraker_lite.components.file_manager.types import ChangeNotice, SourceItem, ZipResult
from moonraker_lite.errors import BadRequest, Forbidden, MethodNotAllowed


class Operations:
    """All take paths as clients write them ("gcodes/sub/a.gcode")."""

    def __init__(self, library: Library, printed: PrintedFile) -> None:
        self._library = library
        self._printed = printed

    # -- directories -----------------------------------------------------------------------------------------------

    async def make_directory(self, path: str) -> ChangeNotice:
        """Make a directory whose parent exists.

        Raises:
            BadRequest: it exists, or its parent does not. MethodNotAllowed: the root is read-only.
        """
        target = await self._writable(path, "POST")
        if target.is_root:
            raise BadRequest(f"Directory {target.text} exists already")
        place = self._library.canonical(target.place)

        def work() -> None:
            with explained(f"Making directory {target.text}"), self._parent(target) as folder:
                os.mkdir(target.place.name, dir_fd=folder.fd)
                folder.sync()

        async with self._library.operation(trees=[place]) as made:
            await self._library.thread(work)
            made.add(Action.CREATE_DIR, place)
        return self._answer(made)

    async def remove_directory(self, path: str, *, force: bool) -> ChangeNotice:
        """Remove a directory, with `force` also one that is not empty.

        Raises:
            BadRequest: there is none, it is not empty, it is a root or a link. MethodNotAllowed: the root is read-only.
        """
        target = await self._writable(path, "DELETE")
        if target.is_root:
            raise BadRequest(f"Root directory {target.text} cannot be deleted")
        place = self._library.canonical(target.place)

        def work() -> None:
            name = target.place.name
            with explained(f"Deleting directory {target.text}"):
                if not os.path.isdir(target.path):
                    raise BadRequest(f"Directory does not exist ({target.text})")
                with self._parent(target) as folder:
                    self._check_reserved(target)
                    if folder.is_link(name):
                        raise BadRequest(f"{target.text} is a link to a directory; remove it on the host itself")
                    self._printed.protect(folder.join(name))
                    if force:
                        remove_tree(name, folder.fd)
                    else:
                        os.rmdir(name, dir_fd=folder.fd)
                    folder.sync()

        async with self._library.operation(trees=[place]) as made:
            await self._library.thread(work)
            made.add(Action.DELETE_DIR, place)
        return self._answer(made)

    # -- files -----------------------------------------------------------------------------------------------------

    async def delete_file(self, path: str) -> ChangeNotice:
        """Delete a file; of a link the link itself.

        Raises:
            BadRequest: there is none. MethodNotAllowed: the root is read-only. Forbidden: a print needs it.
        """
        target = await self._writable(path, "DELETE")
        place = self._library.canonical(target.place)

        def work() -> None:
            with explained(f"Deleting {target.text}"):
                if not os.path.isfile(target.path):
                    raise BadRequest(f"Invalid file path: {target.text}")
                with self._parent(target) as folder:
                    self._check_reserved(target)
                    self._printed.protect(folder.join(target.place.name))
                    os.unlink(target.place.name, dir_fd=folder.fd)
                    folder.sync()

        async with self._library.operation(files=[place]) as made:
            await self._library.thread(work)
            made.add(Action.DELETE_FILE, place)
        return self._answer(made)

    async def move(self, source: str, dest: str) -> ChangeNotice:
        """Move or rename. Into an existing directory the item goes under its own name; a file at `dest` is replaced.

        Raises:
            BadRequest: it cannot be done as asked. Forbidden: a print needs one of the files, or a place is reserved.
        """
        origin, goal = await self._pair(source, dest)
        if not origin.root.writable:
            raise BadRequest(f"Source path is read-only, cannot move: {origin.root.name}")
        if origin.is_root:
            raise BadRequest(f"Root directory {origin.text} cannot be moved")
        library = self._library
        goal, into, folder = await library.thread(lambda: self._resolve(origin, goal))
        start, end = library.canonical(origin.place), library.canonical(goal.place)

        def work() -> None:
            with explained(f"Moving {origin.text} to {goal.text}"):
                self._check_transfer(origin, goal, moving=True)
                if into and os.path.lexists(goal.path):
                    raise BadRequest(f"Destination path {goal.text} already exists")
                with self._parent(origin) as old, self._parent(goal) as new:
                    self._printed.protect(old.join(origin.place.name), new.join(goal.place.name))
                    _rename(old, origin.place.name, new, goal.place.name, library)

        async with library.operation(trees=[start, end]) as made:
            await library.thread(work)
            await library.settle(start, end)
            if end.root == "gcodes" and is_scanned(end.path):
                await library.scanning.scan(end.path)
            made.add(Action.MOVE_DIR if folder else Action.MOVE_FILE, end, start)
        return self._answer(made)

    async def copy(self, source: str, dest: str) -> ChangeNotice:
        """Copy a file or a tree. Into an existing directory a file goes under its own name.

        Raises:
            BadRequest: it cannot be done as asked. Forbidden: a print needs the file at `dest`, or a place is reserved.
        """
        origin, goal = await self._pair(source, dest)
        library = self._library
        inside, _, folder = await library.thread(lambda: self._resolve(origin, goal))
        if not folder:
            goal = inside
        end = library.canonical(goal.place)
        existed = await library.thread(lambda: os.path.lexists(goal.path))

        def work() -> None:
            with explained(f"Copying {origin.text} to {goal.text}"):
                real = self._check_transfer(origin, goal, moving=False)
                with self._parent(goal) as new:
                    self._printed.protect(new.join(goal.place.name))
                    if folder:
                        copy_tree(real, new, goal.place.name, library.reserved)
                    else:
                        copy_file(real, new, goal.place.name)

        start = library.canonical(origin.place)
        async with library.operation(trees=[end]) as made:
            await library.thread(work)
            if folder and start.root == end.root == "gcodes":
                library.book.copy_tree(start.path, end.path)
            await library.settle(end)
            if folder:
                made.add(Action.CREATE_DIR, end)
            else:
                if end.root == "gcodes" and is_scanned(end.path):
                    if start.root == "gcodes":
                        await library.thumbs.copy(start.path, end.path)
                    await library.scanning.scan(end.path)
                made.add(Action.MODIFY_FILE if existed else Action.CREATE_FILE, end)
        return self._answer(made)

    async def zip(self, items: list[str], dest: str | None, *, store_only: bool) -> ZipResult:
        """Pack files and trees into an archive, whose names begin with the root.

        Raises:
            BadRequest: nothing to pack, or an archive cannot stand at `dest`. Forbidden: a place is reserved.
        """
        await self._library.up_to_date()
        library = self._library
        if not items:
            raise BadRequest("At least one file or directory must be specified")
        goal = library.roots.target(dest or time.strftime("config/collection-%Y%m%d-%H%M%S.zip"))
        if not goal.root.writable:
            raise BadRequest(f"Destination Root '{goal.root.name}' is read-only")
        targets = [library.roots.target(item) for item in items]
        place = library.canonical(goal.place)

        def work() -> None:
            with explained(f"Making the archive {goal.text}"):
                if os.path.isdir(goal.path):
                    raise BadRequest(f"Cannot create archive at {goal.text}: it is a directory")
                if not os.path.isdir(os.path.dirname(goal.path)):
                    raise BadRequest(f"Cannot create archive at {goal.text}: its directory does not exist")
                for target in targets:
                    if not os.path.exists(target.path):
                        raise BadRequest(f"No file or directory exists at '{target.text}'")
                with self._parent(goal) as folder:
                    self._check_reserved(goal)
                    _refuse_link(folder, goal)
                    self._printed.protect(folder.join(goal.place.name))
                    pack(targets, folder, goal.place.name, library.roots, store_only=store_only)

        async with library.operation(files=[place]) as made:
            await library.thread(work)
            made.add(Action.CREATE_FILE, place)
        return ZipResult(library.item(place) or listing.gone(place))

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _writable(self, path: str, verb: str) -> Target:
        await self._library.up_to_date()
        target = self._library.roots.target(path)
        if target.root.reserved:
            raise Forbidden(f"Access to {target.text} is forbidden: root '{target.root.name}' is reserved")
        if not target.root.writable:
            raise MethodNotAllowed(f"Path not available for {verb}: {target.text}")
        return target

    async def _pair(self, source: str, dest: str) -> tuple[Target, Target]:
        await self._library.up_to_date()
        roots = self._library.roots
        origin, goal = roots.target(source), roots.target(dest)
        if not goal.root.writable:
            raise BadRequest(f"Destination path is read-only: {goal.root.name}")
        return origin, goal

    def _resolve(self, origin: Target, goal: Target) -> tuple[Target, bool, bool]:
        """Where an item really goes (blocking): an existing directory takes it in, the first flag says whether this is
        so. The second flag: the item is a directory."""
        folder = os.path.isdir(origin.path)
        if origin.place == goal.place or not os.path.isdir(goal.path) or not os.path.lexists(origin.path):
            return goal, False, folder
        name = origin.place.name
        return Target(goal.root, goal.place.child(name), f"{goal.place}/{name}"), True, folder

    def _check_transfer(self, origin: Target, goal: Target, *, moving: bool) -> str:
        """Refuse what cannot be (blocking); gives the real path of the source."""
        roots = self._library.roots
        real = roots.real(origin)
        if not os.path.exists(real):
            raise BadRequest(f"File {origin.text} does not exist")
        if goal.is_root:
            raise BadRequest(f"Destination {goal.text} is a root")
        end = roots.real(goal)
        if moving and roots.reserved.is_below(real):
            raise Forbidden(f"Access to {origin.text} is forbidden: something in it is reserved")
        if os.path.isdir(real) and f"{end}/".startswith(f"{real}/") and (end != real or not moving):
            verb = "moved" if moving else "copied"
            raise BadRequest(f"Directory {origin.text} cannot be {verb} into itself ({goal.text})")
        if end == real and (not moving or origin.place != goal.place):
            raise BadRequest(f"{origin.text} and {goal.text} are the same file")
        with self._parent(goal) as folder:
            if end != real:
                _refuse_link(folder, goal)
            if not os.path.isdir(real) and folder.is_directory(goal.place.name):
                raise BadRequest(f"{goal.text} is a directory")
        return real

    def _check_reserved(self, target: Target) -> None:
        """Refuse a place that is reserved, or that holds one; a link is judged by where it stands (blocking)."""
        roots = self._library.roots
        real = os.path.join(roots.real(_above(target)), target.place.name)
        if roots.reserved.holds(real) or roots.reserved.is_below(real):
            raise Forbidden(f"Access to {target.text} is forbidden: it is reserved")

    def _parent(self, target: Target) -> Folder:
        """The open directory that holds a target."""
        roots = self._library.roots
        parent = _above(target)
        roots.real(parent)
        return Folder(parent.path, roots.reserved)

    def _answer(self, made: Made) -> ChangeNotice:
        change: Change = made.changes[-1]
        notice = self._library.notice(change)
        if notice is not None:
            return notice
        source = change.source
        item = listing.gone(change.place)
        if source is None:
            return ChangeNotice(change.action.value, item)
        return ChangeNotice(change.action.value, item, SourceItem(source.path, source.root))


def _above(target: Target) -> Target:
    return Target(target.root, target.place.parent, str(target.place.parent))


def _refuse_link(folder: Folder, goal: Target) -> None:
    if folder.is_link(goal.place.name):
        raise Forbidden(f"{goal.text} is a link; what it leads to is not replaced")


def _rename(old: Folder, name: str, new: Folder, new_name: str, library: Library) -> None:
    """Rename in one step, or across file systems copy and then remove."""
    found = old.look(name)
    if found is None:
        raise FileNotFoundError(2, "gone")
    if found.st_dev == os.fstat(new.fd).st_dev:
        os.rename(name, new_name, src_dir_fd=old.fd, dst_dir_fd=new.fd)
    elif stat.S_ISLNK(found.st_mode):
        raise BadRequest("A link cannot be moved to another file system")
    elif stat.S_ISDIR(found.st_mode):
        copy_tree(old.join(name), new, new_name, library.reserved)
        remove_tree(name, old.fd)
    else:
        copy_file(old.join(name), new, new_name)
        os.unlink(name, dir_fd=old.fd)
    new.sync()
    old.sync()
