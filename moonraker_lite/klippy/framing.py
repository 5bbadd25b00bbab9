"""Frames of Klipper's API socket: JSON objects, each ended by one byte 0x03. No input or output happens here."""

from __future__ import annotations

import json
from typing import Any

import msgspec

SEPARATOR = b"\x03"
MAX_FRAME = 16 * 1024 * 1024  # bytes; the largest real one, configfile of a big printer, is below 1 MiB


class Reply(msgspec.Struct, frozen=True):
    """One message from the printer back end: an answer when `id` is set, else an update, a line or a remote call."""

    id: int | str | None = None
    result: Any = None
    error: Any = None
    method: str | None = None
    params: Any = None


_decoder = msgspec.json.Decoder(Reply)


class FrameDecoder:
    """Bytes in, messages out.

    As Klipper does, it drops malformed messages and goes on. `dropped` counts them; the caller decides what to say
    of it. A frame over `max_frame` is thrown away up to its end without being kept in memory.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.dropped = 0
        self._max = max_frame
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[Reply]:
        """Take what arrived and return the messages that are complete now."""
        *ends, rest = data.split(SEPARATOR)
        replies: list[Reply] = []
        for end in ends:
            frame = self._finish(end)
            reply = decode(frame) if frame else None
            if reply is not None:
                replies.append(reply)
            elif frame:
                self.dropped += 1
        self._collect(rest)
        return replies

    def _finish(self, end: bytes) -> bytes:
        self._collect(end)
        frame = bytes(self._buffer)
        self._buffer.clear()
        self._skipping = False
        return frame

    def _collect(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._buffer) + len(part) > self._max:
            self._skipping = True
            self._buffer.clear()
            self.dropped += 1
        else:
            self._buffer += part


def decode(frame: bytes) -> Reply | None:
    """One frame as a message, or None if it is not one."""
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError):
        return _decode_lenient(frame)


def _decode_lenient(frame: bytes) -> Reply | None:
    """Python's json, which Klipper writes with, may write NaN and Infinity; they become null as in all our output."""
    try:
        return msgspec.convert(json.loads(frame, parse_constant=lambda _name: None), Reply)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def encode(method: str, params: dict[str, Any] | None, request_id: int | None = None) -> bytes:
    """A request as it goes over the socket. Raises TypeError or ValueError for what JSON cannot hold."""
    message: dict[str, Any] = {"method": method, "params": params or {}}
    if request_id is not None:
        message = {"id": request_id, **message}
    return msgspec.json.encode(message) + SEPARATOR
