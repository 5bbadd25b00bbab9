"""The computer that the host runs on: what it is, how busy it is, what is plugged in, its services and its power."""

from __future__ import annotations

from moonraker_lite.components.machine.component import Machine
from moonraker_lite.components.machine.settings import MachineSettings

__all__ = ["Machine", "MachineSettings"]
