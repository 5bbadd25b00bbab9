"""The printer: Klipper's API for clients, starting and stopping of prints, and the process that stands behind it."""

from __future__ import annotations

from moonraker_lite.components.printer.bridge import PrinterBridge
from moonraker_lite.components.printer.component import Printer, PrintRequested

__all__ = ["PrintRequested", "Printer", "PrinterBridge"]
