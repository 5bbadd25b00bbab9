"""Host names among the trusted clients: kept resolved in the background."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from moonraker_lite.components.authorization.addresses import AddressList, canonical

_LOGGER = logging.getLogger(__name__)
REFRESH = 300.0  # seconds between look-ups of all names
SOONEST = 5.0  # seconds between look-ups that unknown callers cause


class NameWatcher:
    """Looks the names of a list up again and again; calls `changed` when their addresses have changed.

    Names are looked up forwards: what an address calls itself in reverse look-ups is for its owner to choose.
    """

    def __init__(self, addresses: AddressList, changed: Callable[[], None]) -> None:
        self._addresses = addresses
        self._changed = changed
        self._wanted = asyncio.Event()

    def hurry(self) -> None:
        """A caller is unknown: it may be one of the names, with a new address."""
        self._wanted.set()

    async def run(self) -> None:
        """Keep the list up to date, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(SOONEST)
            try:
                async with asyncio.timeout(REFRESH - SOONEST):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()

    async def refresh(self) -> None:
        """Look up every name once. One that cannot be looked up trusts nobody for the time being."""
        found = await asyncio.gather(*map(_addresses_of, self._addresses.names))
        resolved = frozenset[str]().union(*found)
        if resolved != self._addresses.resolved:
            self._addresses.resolved = resolved
            self._changed()


async def _addresses_of(name: str) -> set[str]:
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        _LOGGER.info("trusted client %s cannot be looked up: %s", name, error.strerror)
        return set()
    return {canonical(str(row[4][0])) for row in rows}
