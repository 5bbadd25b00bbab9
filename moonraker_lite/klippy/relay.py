"""From the back end's listener to the host: feeds the status hub and publishes typed events."""

from __future__ import annotations

import msgspec

from moonraker_lite.events import Events
from moonraker_lite.klippy.hub import StatusHub
from moonraker_lite.klippy.listener import Status
from moonraker_lite.klippy.state import KlippyState


class KlippyStateChanged(msgspec.Struct, frozen=True):
    """The printer's state as server.info shows it has changed."""

    state: KlippyState
    message: str


class GcodeCommand(msgspec.Struct, frozen=True):
    """A script that is about to be sent to the printer."""

    script: str


class GcodeResponse(msgspec.Struct, frozen=True):
    """One line or block of G-code output."""

    text: str


class KlippyRelay:
    """The KlippyListener of the host. `hub` is set right after the client it listens to has been made."""

    hub: StatusHub

    def __init__(self, events: Events) -> None:
        self._events = events

    def on_state(self, state: KlippyState, message: str) -> None:
        """Subscriptions end before anybody hears of the new state, so that whoever subscribes then is not undone."""
        self.hub.on_state(state)
        self._events.publish(KlippyStateChanged(state, message))

    def on_gcode_command(self, script: str) -> None:
        """A script is about to be sent."""
        self._events.publish(GcodeCommand(script))

    def on_gcode_response(self, text: str) -> None:
        """The printer said something."""
        self._events.publish(GcodeResponse(text))

    def on_status(self, status: Status, eventtime: float) -> None:
        """Objects changed."""
        self.hub.feed(status, eventtime)
