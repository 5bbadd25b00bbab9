"""G-code output in Klipper's dialect: `// ` before information, `!! ` before errors, `// action:` for host actions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from moonraker_lite.marlin.protocol.incoming import speaks_of_the_line
from moonraker_lite.marlin.replies import HostAction, ReplyKind, classify, parse_error, parse_host_action

_LOGGER = logging.getLogger(__name__)

# Reports that come by themselves, and the traffic of the line protocol: nothing for a console.
_SILENT = frozenset(
    {ReplyKind.OK, ReplyKind.RESEND, ReplyKind.BUSY, ReplyKind.TEMPERATURE, ReplyKind.WAIT, ReplyKind.START}
)


def complaint(line: str) -> str | None:
    """Return the text of an error of the firmware; "" for those of the line protocol, None for other lines."""
    error = parse_error(line)
    if error is None:
        return None
    return "" if speaks_of_the_line(error.encode()) else error


class Console:
    """Turns what the host and the firmware have to say into output lines for everybody who listens."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._button = 0
        # While the firmware is being asked what it is, its answers are no output; what it wants of the host is.
        self.muted = False

    def raw(self, text: str) -> None:
        """Send text as it is."""
        self._write(text)

    def info(self, text: str) -> None:
        """Send information; several lines stay one message."""
        self._write("\n".join(f"// {line}" for line in text.strip().splitlines()))

    def error(self, text: str) -> None:
        """Send an error: its first line behind `!! `, the whole text as information before it if there is more."""
        _LOGGER.warning("%s", text.strip())
        lines = text.strip().splitlines() or [""]
        if len(lines) > 1:
            self.info(text)
        self._write(f"!! {lines[0]}")

    def firmware(self, line: str) -> None:
        """Pass on a line of the firmware, if a human wants to see it."""
        kind = classify(line)
        if not line.strip() or kind in _SILENT:
            return
        if self.muted and kind is not ReplyKind.ACTION:
            return  # but a prompt must not get lost
        if action := parse_host_action(line):
            self._write(self._action(action))
        elif (error := complaint(line)) is not None:
            if error:
                self._write(f"!! {error}")
        else:
            self._write(line.strip())

    def _action(self, action: HostAction) -> str:
        """Marlin numbers the buttons of its prompts; Klipper's carry the command that a click sends."""
        tail = action.tail
        if action.name == "prompt_begin":
            self._button = 0
        elif action.name in ("prompt_button", "prompt_choice"):
            # A bar parts the label from the command.
            tail = f"{tail.replace('|', '/')}|M876 S{self._button}"
            self._button += 1
            return f"// action:prompt_button {tail}"
        return f"// action:{action.name} {tail}".rstrip()
