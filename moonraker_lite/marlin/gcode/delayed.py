"""`[delayed_gcode NAME]`: templates that run by themselves, some time after the printer is ready or when asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from moonraker_lite.marlin.gcode.macros import DELAYED_PREFIX, Macros, Script
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError


class _Delayed:
    """One of them. `timer` is set while it waits, `again` holds what it asked for while it ran."""

    def __init__(self, script: Script, initial: float) -> None:
        self.script = script
        self.initial = initial
        self.timer: asyncio.TimerHandle | None = None
        self.running: asyncio.Task[None] | None = None
        self.again: float | None = None


class DelayedGcodes:
    """All of them by name. `run` renders a script and runs it when it is its turn; it does not raise."""

    def __init__(self, run: Callable[[Script], Awaitable[None]]) -> None:
        self._run = run
        self._all: dict[str, _Delayed] = {}

    def load(self, sections: Mapping[str, Mapping[str, str]], macros: Macros) -> list[str]:
        """Take those of a configuration in place of those before; return what is wrong with it."""
        self.stop()
        self._all = {}
        problems = []
        for section, options in sections.items():
            kind, _, name = section.partition(" ")
            if kind != DELAYED_PREFIX:
                continue
            try:
                initial = float(options.get("initial_duration", "0") or 0)
                if not 0.0 <= initial < float("inf"):
                    raise ValueError(f"initial_duration: {initial:g} is no duration")
                if "gcode" not in options:
                    raise ValueError("gcode: the option is required here and missing")
                self._all[name.strip()] = _Delayed(macros.script(f"{section}:gcode", options["gcode"]), initial)
            except ValueError as error:
                problems.append(f"[{section}] {error}; it is left out")
        return problems

    def start(self) -> None:
        """The printer is ready: those with an initial duration begin to wait."""
        for delayed in self._all.values():
            if delayed.initial > 0.0:
                self._set(delayed, delayed.initial)

    def stop(self) -> None:
        """None of them runs any more."""
        for delayed in self._all.values():
            self._set(delayed, 0.0)
            if delayed.running is not None:
                delayed.running.cancel()

    async def ended(self) -> None:
        """Wait for those that `stop` has cancelled."""
        running = [delayed.running for delayed in self._all.values() if delayed.running is not None]
        await asyncio.gather(*running, return_exceptions=True)

    async def update(self, command: Command) -> None:
        """UPDATE_DELAYED_GCODE ID= DURATION=: run it after so many seconds; 0 for never."""
        options = Options(command)
        name = options.text("ID")
        delayed = self._all.get(name)
        if delayed is None:
            raise CommandError(f"The value '{name}' is not valid for ID")
        self._set(delayed, options.number("DURATION", minimum=0.0))

    def _set(self, delayed: _Delayed, duration: float) -> None:
        if delayed.timer is not None:
            delayed.timer.cancel()
            delayed.timer = None
        if delayed.running is not None and not delayed.running.done():
            delayed.again = duration
        elif duration > 0.0:
            delayed.timer = asyncio.get_running_loop().call_later(duration, self._begin, delayed)

    def _begin(self, delayed: _Delayed) -> None:
        delayed.timer = None
        delayed.again = None
        delayed.running = asyncio.create_task(self._work(delayed), name="delayed G-code")

    async def _work(self, delayed: _Delayed) -> None:
        try:
            await self._run(delayed.script)
        finally:
            delayed.running = None
            if delayed.again:
                self._set(delayed, delayed.again)
