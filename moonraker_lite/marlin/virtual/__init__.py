"""The virtual Marlin: a faithful simulator on a real pty, in-process or as `moonraker-lite virtual-printer`."""

from moonraker_lite.marlin.virtual.printer import VirtualPrinter

__all__ = ["VirtualPrinter"]
