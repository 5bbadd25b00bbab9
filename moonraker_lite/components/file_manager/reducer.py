"""The reducer: what is seen on disk and what the API does become one ordered list of changes, each once.

It is a pure state machine. Time is passed in, observations come from the follower, and `out` collects the changes. Why
it waits at all: a file is announced when its writer is done and its metadata is there; a folder when it has been quiet
for a moment, so that copying a tree is one event; a removal when the folder around it has not gone as well.

What the API does is known exactly, so its observations are not guessed at: while an `Operation` is open it swallows
what happens in its scope, and its own list of changes is announced when it is committed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

import msgspec

from moonraker_lite.components.file_manager.changes import Action, Change, Event, Observation, Place
from moonraker_lite.components.file_manager.quiet import NewFolders, Removals

CREATE_HOLD = 0.05  # s; a new file may be a temporary one that is renamed at once
OPEN_LIMIT = 30.0  # s without a write after which a new file counts as done; links made with link(2) are never closed


class Pending(msgspec.Struct):
    """A file change that is not announced yet.

    `due`: not before. `open`: somebody writes, last at `written`. `scan`: metadata is awaited. For moves `known` says
    that clients know the file at `source`, and `replaced` that they know one at the target.
    """

    action: Action
    source: Place | None = None
    known: bool = False
    replaced: bool = False
    due: float = 0.0
    open: bool = False
    written: float = 0.0
    scan: bool = False


class Operation:
    """What the API is about to do: `files` exactly, and `trees` with all below them. `seen` is what was observed of
    it, `found` are files in folders that were read as a whole meanwhile."""

    def __init__(self, files: Iterable[Place], trees: Iterable[Place]) -> None:
        self.files = set(files)
        self.trees = tuple(trees)
        self.seen: list[Observation] = []
        self.found: list[Place] = []

    def covers(self, place: Place) -> bool:
        """Whether what happens at `place` is this operation's doing."""
        return place in self.files or any(place == tree or place.inside(tree) for tree in self.trees)


class Reducer:
    """See the module. `wants_scan` says whether a file needs metadata before it is told of; `ask_scan` asks for it.
    `is_busy` says whether files below a new folder are still being scanned; it waits for them, but not for long."""

    def __init__(
        self,
        wants_scan: Callable[[Place], bool],
        ask_scan: Callable[[Place], None],
        is_busy: Callable[[Place], bool] = lambda folder: False,
    ) -> None:
        self.out: list[Change] = []
        self._wants_scan = wants_scan
        self._ask_scan = ask_scan
        self._pending: dict[Place, Pending] = {}
        self._removals = Removals(lambda due, place: self._timer(due, "gone", place), self._tell)
        self._new = NewFolders(lambda due, place: self._timer(due, "tree", place), is_busy)
        self._operations: list[Operation] = []
        self._timers: list[tuple[float, str, Place]] = []

    # -- time ------------------------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When `advance` has something to do next."""
        return self._timers[0][0] if self._timers else None

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be announced."""
        return not (self._pending or self._new or self._removals or self.out)

    def is_new_below(self, place: Place) -> bool:
        """Whether a folder above is not announced yet: who lists it then, sees this too."""
        return self._new.covers(place)

    def owner(self, place: Place) -> Operation | None:
        """The operation whose doing is what happens here."""
        return next((operation for operation in self._operations if operation.covers(place)), None)

    def is_open(self, place: Place) -> bool:
        """Whether somebody is writing this file now; its end will be seen."""
        pending = self._pending.get(place)
        return pending is not None and pending.open

    def advance(self, now: float) -> None:
        """Announce what has waited long enough."""
        while self._timers and self._timers[0][0] <= now:
            _, kind, place = heapq.heappop(self._timers)
            if kind == "file":
                self._try_file(place, now)
            elif kind == "open":
                self._check_open(place, now)
            elif kind == "gone":
                self._removals.check(place, now)
            elif self._new.is_due(place, now):
                self._announce_tree(place)

    def _tell(self, change: Change) -> None:
        self.out.append(change)

    def _timer(self, due: float, kind: str, place: Place) -> None:
        heapq.heappush(self._timers, (due, kind, place))

    # -- observations ----------------------------------------------------------------------------------------------

    def observe(self, seen: Observation, now: float) -> None:
        """Take what happened on disk."""
        for operation in self._operations:
            if operation.covers(seen.place) or (seen.source is not None and operation.covers(seen.source)):
                operation.seen.append(seen)
                return
        self._reduce(seen, now)

    def _reduce(self, seen: Observation, now: float) -> None:
        place = seen.place
        match seen.event:
            case Event.FILE_APPEARED:
                self._file_appeared(place, seen.complete, now)
            case Event.FILE_WRITTEN:
                self._file_written(place, now)
            case Event.FILE_CLOSED:
                self._file_closed(place, now)
            case Event.FILE_VANISHED:
                self._file_vanished(place, now)
            case Event.FILE_MOVED:
                assert seen.source is not None
                self._file_moved(seen.source, place, seen.replaced, now)
            case Event.DIR_APPEARED:
                self._dir_appeared(place, now)
            case Event.DIR_VANISHED:
                self._dir_vanished(place, now)
            case Event.DIR_MOVED:
                assert seen.source is not None
                self._dir_moved(seen.source, place, now)

    def scanned(self, place: Place, now: float) -> bool:
        """The metadata of a file is there (or will not come). False when nobody waited for it here."""
        pending = self._pending.get(place)
        if pending is None or not pending.scan:
            return False
        pending.scan = False
        self._try_file(place, now)
        return True

    # -- files -----------------------------------------------------------------------------------------------------

    def _file_appeared(self, place: Place, complete: bool, now: float) -> None:
        self._removals.settle(place)
        self._new.extend(place, now)
        pending = Pending(Action.CREATE_FILE, due=now + CREATE_HOLD, open=not complete, written=now)
        self._pending[place] = pending
        if complete:
            self._finished(place, pending, now)
        else:
            self._timer(now + OPEN_LIMIT, "open", place)

    def _file_written(self, place: Place, now: float) -> None:
        self._new.extend(place, now)
        pending = self._pending.setdefault(place, Pending(Action.MODIFY_FILE))
        pending.open = True
        pending.written = now

    def _check_open(self, place: Place, now: float) -> None:
        pending = self._pending.get(place)
        if pending is None or not pending.open or pending.action is not Action.CREATE_FILE:
            return
        if pending.written + OPEN_LIMIT > now:
            self._timer(pending.written + OPEN_LIMIT, "open", place)
        else:
            self._file_closed(place, now)

    def _file_closed(self, place: Place, now: float) -> None:
        self._new.extend(place, now)
        pending = self._pending.get(place)
        if pending is not None:
            pending.open = False
            self._finished(place, pending, now)

    def _finished(self, place: Place, pending: Pending, now: float) -> None:
        """The content stands: ask for the metadata if there is any, else announce as soon as it may be."""
        if self._wants_scan(place):
            pending.scan = True
            self._ask_scan(place)
        self._try_file(place, now)

    def _try_file(self, place: Place, now: float) -> None:
        pending = self._pending.get(place)
        if pending is None or pending.open or pending.scan or self._new.covers(place):
            return
        if pending.due > now:
            self._timer(pending.due, "file", place)
            return
        del self._pending[place]
        self.out.append(Change(pending.action, place, pending.source))

    def _file_vanished(self, place: Place, now: float) -> None:
        pending = self._pending.pop(place, None)
        covered = self._new.covers(place)
        self._new.extend(place, now)
        if pending is not None and pending.action is Action.MOVE_FILE:
            self._undo_move(pending, now)
            if not pending.replaced:
                return
        elif pending is not None and pending.action is Action.CREATE_FILE:
            return
        if not covered:
            self._removals.add(place, Action.DELETE_FILE, now)

    def _undo_move(self, pending: Pending, now: float) -> None:
        """A moved file went before its move was announced: for clients it still stands where it came from."""
        if pending.source is not None and pending.known:
            self._removals.add(pending.source, Action.DELETE_FILE, now)

    def _file_moved(self, source: Place, place: Place, replaced: bool, now: float) -> None:
        before, over = self._pending.pop(source, None), self._pending.pop(place, None)
        if self._removals.settle(place):
            replaced = False
        fresh = before is not None and before.action is Action.CREATE_FILE
        hidden = self._new.covers(source)
        self._new.extend(source, now)
        known = not fresh and not hidden
        replaced = replaced and not (over is not None and over.action is Action.CREATE_FILE)
        if self._new.covers(place):
            if known:
                self._announce_above(place)
            else:
                self._new.extend(place, now)
                replaced = False
        first = before.source if before is not None and before.action is Action.MOVE_FILE else source
        move = known or (replaced and not hidden)
        action = Action.MOVE_FILE if move else Action.MODIFY_FILE if replaced else Action.CREATE_FILE
        if before is not None and before.action is Action.MOVE_FILE:
            known = before.known
        pending = Pending(action, first if move else None, known, replaced, due=now, written=now)
        if action is Action.CREATE_FILE and before is not None:
            pending.due = max(now, before.due)
        writing = before is not None and before.open
        self._pending[place] = pending
        if writing and not move:
            pending.open = True
        elif writing:
            self._try_file(place, now)
            self._pending[place] = Pending(Action.MODIFY_FILE, open=True)
        else:
            self._finished(place, pending, now)

    # -- folders ---------------------------------------------------------------------------------------------------

    def _dir_appeared(self, place: Place, now: float) -> None:
        self._removals.settle(place)
        if not self._new.extend(place, now):
            self._new.begin(place, now)

    def _dir_vanished(self, place: Place, now: float) -> None:
        self._drop_below(place, now)
        unknown = self._new.end(place) is not None
        if not self._new.extend(place, now) and not unknown:
            self._removals.add(place, Action.DELETE_DIR, now)

    def _drop_below(self, place: Place, now: float) -> None:
        """Forget what waits below a folder that is gone."""
        for below in [p for p in self._pending if p.inside(place)]:
            pending = self._pending.pop(below)
            if pending.source is not None and not pending.source.inside(place):
                self._undo_move(pending, now)
        self._new.drop_below(place)
        self._removals.drop(place)

    def _dir_moved(self, source: Place, place: Place, now: float) -> None:
        self._removals.settle(place)
        inside_new = self._new.covers(source)
        self._new.extend(source, now)
        self._rename_below(source, place)
        started = self._new.end(source)
        if started is None and not inside_new:
            self._announce_above(place)
            self.out.append(Change(Action.MOVE_DIR, place, source))
        elif not self._new.extend(place, now):
            self._new.begin(place, now, started)

    def _rename_below(self, source: Place, place: Place) -> None:
        """What waits below a moved folder goes on waiting at its new place."""
        for old in [p for p in self._pending if p.inside(source)]:
            pending = self._pending.pop(old)
            if pending.source is not None and pending.source.inside(source):
                pending.source = pending.source.moved(source, place)
            new = old.moved(source, place)
            self._pending[new] = pending
            self._timer(pending.due, "file", new)
            if pending.scan:
                self._ask_scan(new)
        self._new.rename_below(source, place)
        self._removals.rename(source, place)

    # -- new folders -----------------------------------------------------------------------------------------------

    def _announce_tree(self, place: Place) -> None:
        """Tell of a new folder; whoever lists it sees all that is in it, so only files still written wait on."""
        self._new.end(place)
        if not self._new.covers(place):
            self.out.append(Change(Action.CREATE_DIR, place))
        for below in [p for p in self._pending if p.inside(place)]:
            if not self._pending[below].open:
                del self._pending[below]

    def _announce_above(self, place: Place) -> None:
        for folder in reversed(list(self._new.above(place))):
            self._announce_tree(folder)

    # -- operations of the API -------------------------------------------------------------------------------------

    def begin(self, files: Iterable[Place] = (), trees: Iterable[Place] = ()) -> Operation:
        """Open an operation: from now on its scope is its own. Ends with `commit` or `rollback`."""
        operation = Operation(files, trees)
        self._operations.append(operation)
        return operation

    def commit(self, operation: Operation, changes: Iterable[Change], now: float) -> None:
        """The operation was done: announce its changes, in this order, instead of what was seen of it."""
        self._operations.remove(operation)
        for change in changes:
            self._removals.settle(change.place)
            self._supersede(change, now)
            self.out.append(change)

    def _supersede(self, change: Change, now: float) -> None:
        if change.action is Action.MOVE_DIR and change.source is not None:
            self._new.end(change.source)
            self._rename_below(change.source, change.place)
        elif change.action in (Action.DELETE_DIR, Action.CREATE_DIR):
            self._drop_below(change.place, now)
            self._new.end(change.place)
        before = self._pending.pop(change.source or change.place, None)
        if change.source is not None:
            self._pending.pop(change.place, None)
        if before is not None and before.open and not change.action.removes:
            self._pending[change.place] = Pending(Action.MODIFY_FILE, open=True)

    def rollback(self, operation: Operation, now: float) -> None:
        """The operation failed: what it left on disk counts as seen from outside."""
        self._operations.remove(operation)
        for seen in operation.seen:
            self._reduce(seen, now)
