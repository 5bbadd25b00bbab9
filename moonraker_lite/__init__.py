"""moonraker_lite: a Moonraker-compatible host for Klipper and stock Marlin printers."""

__version__ = "0.1.0"
