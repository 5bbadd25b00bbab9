"""Parts of the reducer: what is announced only when it has been quiet for a moment.

Both keep groups with a deadline that moves on while things happen, up to a limit. `timer` asks to be called back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from moonraker_lite.components.file_manager.changes import Action, Change, Place

DELETE_SETTLE = 0.25  # s without another removal in the folder
DELETE_LIMIT = 5.0  # s; longest wait while removals in a folder go on
TREE_SETTLE = 0.25  # s without a change below a new folder
TREE_BUSY = 0.05  # s between looks whether the files in a new folder have been scanned
TREE_LIMIT = 2.0  # s; longest wait while a new folder is being filled

Timer = Callable[[float, Place], None]


class _Group(msgspec.Struct):
    started: float
    due: float
    gone: dict[Place, Action] = msgspec.field(default_factory=dict)


class Removals:
    """Removals by the folder they happened in: they mean nothing if that goes as well."""

    def __init__(self, timer: Timer, out: Callable[[Change], None]) -> None:
        self._timer = timer
        self._out = out
        self._groups: dict[Place, _Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, place: Place, action: Action, now: float) -> None:
        """Something is gone."""
        group = self._groups.get(place.parent)
        if group is None:
            group = self._groups[place.parent] = _Group(now, now + DELETE_SETTLE)
            self._timer(group.due, place.parent)
        group.due = min(now + DELETE_SETTLE, group.started + DELETE_LIMIT)
        group.gone[place] = action

    def settle(self, place: Place) -> bool:
        """Announce the removal of `place` now, before something new stands there. False when it was not removed."""
        group = self._groups.get(place.parent)
        action = group.gone.pop(place, None) if group is not None else None
        if action is None:
            return False
        self._out(Change(action, place))
        return True

    def check(self, folder: Place, now: float) -> None:
        """Announce the removals in a folder if it has been quiet."""
        group = self._groups.get(folder)
        if group is None:
            return
        if group.due > now:
            self._timer(group.due, folder)
            return
        del self._groups[folder]
        for place, action in group.gone.items():
            self._out(Change(action, place))

    def drop(self, folder: Place) -> None:
        """A folder is gone: what was removed in it or below is no news."""
        for place in [place for place in self._groups if place == folder or place.inside(folder)]:
            del self._groups[place]

    def rename(self, source: Place, target: Place) -> None:
        """A folder was moved: what was removed in it is missing at the new place."""
        for old in [place for place in self._groups if place == source or place.inside(source)]:
            group = self._groups.pop(old)
            group.gone = {gone.moved(source, target): action for gone, action in group.gone.items()}
            new = old.moved(source, target)
            self._groups[new] = group
            self._timer(group.due, new)


class NewFolders:
    """Folders that are not announced yet; whoever lists them then sees all that is in them.

    `is_busy` says whether files below one are still being scanned.
    """

    def __init__(self, timer: Timer, is_busy: Callable[[Place], bool]) -> None:
        self._timer = timer
        self._is_busy = is_busy
        self._groups: dict[Place, _Group] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def begin(self, place: Place, now: float, started: float | None = None) -> None:
        """A folder has appeared."""
        self._groups[place] = _Group(now if started is None else started, now + TREE_SETTLE)
        self._timer(now + TREE_SETTLE, place)

    def end(self, place: Place) -> float | None:
        """A folder is announced, gone or elsewhere; gives when it had appeared, None if it was not new."""
        group = self._groups.pop(place, None)
        return group.started if group is not None else None

    def above(self, place: Place) -> Iterator[Place]:
        """The new folders that hold a place, the innermost first."""
        while self._groups and place.path:
            place = place.parent
            if place in self._groups:
                yield place

    def covers(self, place: Place) -> bool:
        """Whether a folder above is new."""
        return any(True for _ in self.above(place))

    def extend(self, place: Place, now: float) -> bool:
        """Something happened below new folders: they are not quiet yet. False when there are none above."""
        found = False
        for folder in self.above(place):
            group = self._groups[folder]
            group.due = min(now + TREE_SETTLE, group.started + TREE_LIMIT)
            found = True
        return found

    def is_due(self, place: Place, now: float) -> bool:
        """Whether a folder is to be announced now; if not, there will be another call."""
        group = self._groups.get(place)
        if group is None:
            return False
        if group.due > now:
            self._timer(group.due, place)
            return False
        if now < group.started + TREE_LIMIT and self._is_busy(place):
            self._timer(now + TREE_BUSY, place)
            return False
        return True

    def drop_below(self, folder: Place) -> None:
        """A folder is gone."""
        for place in [place for place in self._groups if place.inside(folder)]:
            del self._groups[place]

    def rename_below(self, source: Place, target: Place) -> None:
        """A folder was moved."""
        for old in [place for place in self._groups if place.inside(source)]:
            group = self._groups.pop(old)
            new = old.moved(source, target)
            self._groups[new] = group
            self._timer(group.due, new)
