"""What the firmware asks of whoever stands at the printer: `//action:prompt_...`, and its waiting for the answer.

Marlin asks in M0, M1, M125, M600 and when filament runs out, often twice for one command: `Nozzle Parked` is answered
by the first `Continue`, and after the new filament is in, `PurgeMore` / `Continue` by the next. While it waits, no line
is answered but the emergencies M108 and M876. Measured: `../marlin/PROTOCOL.md`.
"""

from __future__ import annotations

from collections.abc import Callable

from moonraker_lite.marlin.replies import HostAction

MAX_BUTTONS = 16
# Buttons that only close a message: nobody waits for them.
_DISMISS = frozenset({"dismiss", "close"})
# What lets the firmware go on, where there is a choice.
_GO_ON = ("continue", "resume", "reheat", "confirm", "ok", "yes", "done")
_WAITING = ("paused for user", "paused for input")
# An answer goes without number and checksum: one that was damaged on its way is given again. The firmware tells every
# two seconds that it waits; of two such lines behind an answer at least the second was said after it should have come.
_UNHEARD = 2
_REPEATS = 3


class Prompts:
    """The dialog that is open, if one is, and whether the firmware waits. `changed` is told when that changes."""

    def __init__(self, changed: Callable[[bool], None] = lambda waiting: None) -> None:
        self.changed = changed
        self.text = ""
        self.buttons: list[str] = []
        self.shown = False
        self.waiting = False
        self._given = ""
        self._unheard = 0
        self._repeats = 0

    def action(self, action: HostAction) -> None:
        """Take a host action of the firmware."""
        name = action.name
        if name == "prompt_begin":
            self._close()
            self.text = action.tail
        elif name in ("prompt_button", "prompt_choice"):
            if len(self.buttons) < MAX_BUTTONS:
                self.buttons.append(action.tail)
        elif name == "prompt_show":
            self.shown = True
            if any(button.lower() not in _DISMISS for button in self.buttons):
                self._wait(True)
        elif name == "prompt_end":
            self._close()
        elif name == "paused":
            self._wait(True)
        elif name == "resumed":
            self._wait(False)

    def busy(self, line: str) -> str | None:
        """Take a `busy:` line; return an answer that has to be given again."""
        if not any(words in line for words in _WAITING):
            return None
        self._wait(True)
        if not self._given:
            return None
        self._unheard += 1
        if self._unheard < _UNHEARD or self._repeats >= _REPEATS:
            return None
        self._unheard = 0
        self._repeats += 1
        return self._given

    def acknowledged(self) -> None:
        """The firmware has answered a line: it does not wait any more."""
        if self.waiting:
            self._wait(False)

    def reset(self) -> None:
        """The firmware begins anew, or is gone."""
        self._close()
        self._wait(False)

    def answer(self) -> str:
        """Return the command that lets the firmware go on."""
        if not self.shown or not self.buttons:
            return "M108"
        for word in _GO_ON:
            for index, button in enumerate(self.buttons):
                if button.lower() == word:
                    return f"M876 S{index}"
        return f"M876 S{len(self.buttons) - 1}"

    def answered(self, command: str) -> bool:
        """An answer is on its way; return whether it closes a dialog."""
        shown = self.shown
        self._close()
        self._given = command
        return shown

    def _close(self) -> None:
        self.text, self.buttons, self.shown = "", [], False
        self._given, self._unheard, self._repeats = "", 0, 0

    def _wait(self, waiting: bool) -> None:
        if waiting is not self.waiting:
            self.waiting = waiting
            if not waiting:
                self._given = ""
            self.changed(waiting)
