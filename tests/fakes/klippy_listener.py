"""A listener that writes down what the Klippy client reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from moonraker_lite.klippy import KlippyState


class RecordingListener:
    """`events` holds (kind, ...) tuples in order; `forward` takes a StatusHub that is to be fed."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.forward: Any = None

    def on_state(self, state: KlippyState, message: str) -> None:
        self.events.append(("state", state))
        if self.forward is not None:
            self.forward.on_state(state)

    def on_gcode_command(self, script: str) -> None:
        self.events.append(("command", script))

    def on_gcode_response(self, text: str) -> None:
        self.events.append(("response", text))

    def on_status(self, status: dict[str, dict[str, Any]], eventtime: float) -> None:
        self.events.append(("status", status, eventtime))
        if self.forward is not None:
            self.forward.feed(status, eventtime)

    def of(self, kind: str) -> list[Any]:
        return [event[1] for event in self.events if event[0] == kind]

    @property
    def states(self) -> list[KlippyState]:
        return self.of("state")

    async def until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait for something that the events show."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_state(self, state: KlippyState, seconds: float = 5.0) -> None:
        await self.until(lambda: self.states and self.states[-1] is state, seconds)
