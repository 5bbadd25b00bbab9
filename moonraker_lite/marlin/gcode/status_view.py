"""`printer` in a macro: the status objects, looked up when the macro asks for them.

A macro renders in a thread of its own, the objects belong to the event loop: each is fetched from there once per
rendering, as a copy that the macro may do with what it likes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")

# How long the event loop may take to answer a rendering. Only its end takes so long.
PATIENCE = 10.0

# Positions have names for their places there: `printer.toolhead.position.z`.
_COORDINATES = frozenset(
    {"axis_maximum", "axis_minimum", "gcode_position", "homing_origin", "live_position", "position"}
)


class Coordinates(NamedTuple):
    """A position as macros see it."""

    x: float
    y: float
    z: float
    e: float


class LoopCalls:
    """Runs functions on the event loop for a thread that waits for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, function: Callable[[], _T]) -> _T:
        """Return what `function` returns; raise what it raises, TimeoutError when the loop does nothing any more."""
        done: concurrent.futures.Future[_T] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(function())
            except Exception as error:  # noqa: BLE001  boundary: it belongs to the caller in the other thread
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(PATIENCE)


class PrinterView:
    """`printer`. `names` lists the objects, `snapshot` gives the fields of one or None; both run on the loop."""

    __slots__ = ("_fetched", "_names", "_on_loop", "_snapshot")

    def __init__(
        self,
        on_loop: LoopCalls,
        names: Callable[[], list[str]],
        snapshot: Callable[[str], dict[str, Any] | None],
    ) -> None:
        self._on_loop = on_loop
        self._names = names
        self._snapshot = snapshot
        self._fetched: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: object) -> dict[str, Any]:
        """Raise KeyError: no such object."""
        key = str(name).strip()
        if key not in self._fetched:
            status = self._on_loop(lambda: self._snapshot(key))
            if status is None:
                raise KeyError(key)
            self._fetched[key] = copied(status)
        return self._fetched[key]

    def __contains__(self, name: object) -> bool:
        try:
            self[name]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._on_loop(self._names))


def copied(value: Any, key: str = "") -> Any:
    """Return a deep copy of a status value; positions become `Coordinates`."""
    if isinstance(value, dict):
        return {name: copied(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        if key in _COORDINATES and len(value) == 4:
            return Coordinates(*value)
        return [copied(item) for item in value]
    return value
