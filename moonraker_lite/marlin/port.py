"""pyserial's port, made fit for an event loop.

pyserial-asyncio drives a port through `read`, `write` and `flush`. pyserial's own cost two more system calls per read,
spin while the operating system takes no bytes, and wait without bound for a board that takes none when it is closed.
"""

from __future__ import annotations

import contextlib
import os
import termios
import time

import serial

from moonraker_lite.marlin.link import Reset

PULSE = 0.1
"""Seconds."""


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


def open_port(path: str, baud: int, reset: Reset = Reset.AS_IT_COMES) -> Port:
    """Open for this process alone. Takes seconds with some drivers.

    Raises:
        serial.SerialException, OSError, ValueError: no such port, in use, or it does not know the baud rate.
    """
    port = Port(path, baud, timeout=0, write_timeout=0, exclusive=True)
    if reset is Reset.AVOID:
        _keep_lines(port)
    elif reset is Reset.PULSE:
        _pulse(port)
    return port


def _keep_lines(port: Port) -> None:
    """Clear HUPCL, so that closing does not drop DTR."""
    with contextlib.suppress(OSError, termios.error):
        attributes = termios.tcgetattr(port.fd)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(port.fd, termios.TCSANOW, attributes)


def _pulse(port: Port) -> None:
    """Press the board's reset button, where DTR or RTS is that; a pty has neither."""
    with contextlib.suppress(OSError):
        port.dtr = port.rts = False
        time.sleep(PULSE)
        port.dtr = port.rts = True
        port.reset_input_buffer()
