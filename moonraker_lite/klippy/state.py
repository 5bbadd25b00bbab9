"""The states of the printer back end and what it says of itself."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class KlippyState(Enum):
    """What the back end can do now. `text` is the word of `server.info`'s `klippy_state`."""

    DISCONNECTED = "disconnected"  # no connection to the socket
    STARTUP = "startup"  # connected, the printer is being set up
    READY = "ready"  # takes G-code
    ERROR = "error"  # a fault of configuration or hardware; only a restart helps
    SHUTDOWN = "shutdown"  # emergency stop or a fault while running; only a restart helps

    @property
    def text(self) -> str:
        return self.value


class KlippyInfo(msgspec.Struct, frozen=True):
    """The answer of `info`. Every field may be missing in what a third-party back end sends."""

    state: str = "startup"
    state_message: str = ""
    hostname: str = ""
    software_version: str = "?"
    cpu_info: str = ""
    klipper_path: str | None = None
    python_path: str | None = None
    log_file: str | None = None
    config_file: str | None = None
    app: str = "Klipper"
    process_id: int | None = None
    user_id: int | None = None
    group_id: int | None = None


def parse_state(text: object) -> KlippyState:
    """Klipper's word for its state. An unknown one counts as STARTUP: wait until it is one we know."""
    try:
        state = KlippyState(text)
    except ValueError:
        return KlippyState.STARTUP
    return KlippyState.STARTUP if state is KlippyState.DISCONNECTED else state


def parse_info(result: Any) -> KlippyInfo:
    """The answer of `info`; fields of a wrong type are left out."""
    fields = result if isinstance(result, dict) else {}
    try:
        return msgspec.convert(fields, KlippyInfo)
    except msgspec.ValidationError:
        return KlippyInfo(state=str(fields.get("state", "startup")), state_message=str(fields.get("state_message", "")))
