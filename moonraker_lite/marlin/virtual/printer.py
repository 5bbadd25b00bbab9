"""The virtual Marlin on a pty."""

from __future__ import annotations

from collections.abc import Callable


class VirtualPrinter:
    """A Marlin board on a pty, simulated on the running event loop.

    printer = VirtualPrinter(speed=20, faults="seed=1,corrupt=0.05")
    await printer.start()      # printer.path is the pty to open
    ...
    await printer.close()
    """

    path: str
    """The pty's path, or `link_path` where one was given. Valid after `start`."""
    executed: list[str]
    """The last executed commands (bounded by `keep`), as the firmware understood them, oldest first."""

    def __init__(
        self,
        *,
        speed: float = 1.0,
        faults: str = "",
        link_path: str | None = None,
        on_executed: Callable[[str], None] | None = None,
        keep: int = 1000,
        advanced_ok: bool = True,
        emergency_parser: bool = True,
    ) -> None:
        """`speed`: 1 = real time, 20 = twenty times faster, 0 = as fast as the line allows. `faults`: for example
        `seed=1,corrupt=0.05,lose_ok=0.01`; ValueError names what is wrong with it."""
        raise NotImplementedError

    async def start(self) -> None:
        """Open the pty and boot."""
        raise NotImplementedError

    def reset(self) -> None:
        """The reset button."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the pty and end all timers. Idempotent."""
        raise NotImplementedError
