"""pyserial's port, made fit for an event loop.

pyserial-asyncio drives a port through `read`, `write` and `flush`. pyserial's own cost two more system calls per read,
spin while the operating system takes no bytes, and wait without bound for a board that takes none when it is closed.
"""

from __future__ import annotations

import os

import serial


class Port(serial.Serial):  # type: ignore[misc]  # pyserial has no type hints
    """A serial port or pty whose calls never wait."""

    def read(self, size: int = 1) -> bytes:
        """Return what is there; b"" when nothing is. SerialException: the device is gone."""
        try:
            data = os.read(self.fd, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise serial.SerialException(str(error.strerror)) from error
        if not data:
            raise serial.SerialException("the device was unplugged or switched off")  # readable, and nothing comes
        return data

    def write(self, data: bytes) -> int:
        """Hand over what the operating system takes and return how much that was. SerialException: device gone."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise serial.SerialException(str(error.strerror)) from error

    def flush(self) -> None:
        """Wait for nothing: who closes has no use for what is still on its way."""


def open_port(path: str, baud: int) -> Port:
    """Open for this process alone. Takes seconds with some drivers.

    Raises:
        serial.SerialException, OSError, ValueError: no such port, in use, or it does not know the baud rate.
    """
    return Port(path, baud, timeout=0, write_timeout=0, exclusive=True)
