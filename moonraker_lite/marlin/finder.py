"""Where the printer is and how fast it talks: as configured, as remembered, or found out by asking.

`serial: auto` asks every USB port that nobody else uses; `baud: auto` asks at the usual speeds. What was found is
remembered in the state folder, so that it is asked only once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from moonraker_lite.marlin.link import LinkError
from moonraker_lite.marlin.ports import SerialPort, candidates, list_ports, locked_by
from moonraker_lite.marlin.probe import USUAL_BAUDS, Found, ask

_LOGGER = logging.getLogger(__name__)

AUTO = "auto"
FILE_NAME = "printer_port.json"
WHERE_IT_DOES_NOT_MATTER = 115200
# Several ports, and each at all speeds, would take minutes: with these two, nearly every board is found.
LIKELY_BAUDS = USUAL_BAUDS[:2]


class Memory(msgspec.Struct, frozen=True):
    """What was found: the port that answered last, and the speed of each port."""

    last: str = ""
    bauds: dict[str, int] = {}


class PortFinder:
    """Finds out what the owner left open. `baud` None: to be found out."""

    def __init__(
        self,
        serial: str,
        baud: int | None,
        state_dir: Path | None,
        *,
        ports: Callable[[], list[SerialPort]] = list_ports,
    ) -> None:
        self._serial = serial
        self._baud = baud
        self._file = state_dir / FILE_NAME if state_dir else None
        self._ports = ports
        self._memory = _load(self._file)

    async def find(self) -> tuple[str, int]:
        """URL and speed. LinkError: no printer answers anywhere; the message says what was asked."""
        if self._serial == AUTO:
            return await self._find_port()
        baud = self._known_baud(self._serial)
        if baud is not None:
            return self._serial, baud
        found = await ask(self._serial)
        if found is None:
            tried = ", ".join(map(str, USUAL_BAUDS))
            raise LinkError(
                f"No printer answers at {self._serial} at any usual speed ({tried} baud): is it on, and is it the port?"
            )
        return self._remember(found)

    def forget(self) -> None:
        """What was remembered is wrong: nobody answered there."""
        last, bauds = self._memory.last, dict(self._memory.bauds)
        bauds.pop(last if self._serial == AUTO else self._serial, None)
        self._set_memory(Memory("", bauds))

    def _known_baud(self, url: str) -> int | None:
        if self._baud is not None:
            return self._baud
        if url.startswith("socket://") or os.path.realpath(url).startswith("/dev/pts/"):
            return WHERE_IT_DOES_NOT_MATTER
        return self._memory.bauds.get(url)

    async def _find_port(self) -> tuple[str, int]:
        ports = await asyncio.to_thread(self._ports)
        last = self._memory.last
        if last and os.path.exists(last) and locked_by(last) is None and (baud := self._known_baud(last)):
            return last, baud
        asked = candidates(ports)
        problems = []
        for port in asked:
            try:
                found = await ask(port.name, self._bauds(len(asked)))
            except LinkError as error:
                problems.append(error.message)
                continue
            if found is not None and found.firmware:
                _LOGGER.info("%s at %d baud: %s", found.url, found.baud, found.firmware)
                return self._remember(found)
            problems.append(f"{port.name} does not answer as a printer")
        if not asked:
            raise LinkError("No printer was found: there is no USB serial port that could be asked")
        raise LinkError(f"No printer was found: {'; '.join(problems)}")

    def _bauds(self, ports: int) -> tuple[int, ...]:
        if self._baud is not None:
            return (self._baud,)
        return USUAL_BAUDS if ports == 1 else LIKELY_BAUDS

    def _remember(self, found: Found) -> tuple[str, int]:
        _LOGGER.info("Found a printer at %s, %d baud", found.url, found.baud)
        self._set_memory(Memory(found.url, {**self._memory.bauds, found.url: found.baud}))
        return found.url, found.baud

    def _set_memory(self, memory: Memory) -> None:
        self._memory = memory
        if self._file is None:
            return
        temporary = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(memory))
            temporary.replace(self._file)
        except OSError as error:
            _LOGGER.warning("What was found out about the port cannot be kept: %s", error)


def _load(file: Path | None) -> Memory:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Memory) if file else Memory()
    except (OSError, msgspec.DecodeError):
        return Memory()
