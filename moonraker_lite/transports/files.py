"""Sending a file: ranges, conditions, HEAD; read in a thread, one block ahead of the socket."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from email.utils import formatdate
from typing import BinaryIO
from urllib.parse import quote

from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine

from moonraker_lite.api.replies import FileReply
from moonraker_lite.errors import Forbidden, NotFound
from moonraker_lite.transports.patience import STALL_SECONDS
from moonraker_lite.transports.ranges import Unsatisfiable, not_modified, parse_range

_SMALLEST, _LARGEST = 16 * 1024, 1024 * 1024


def content_disposition(name: str) -> str:
    """The header that makes browsers save the file under `name`, with an ASCII form for old ones."""
    ascii_name = name.encode("ascii", "replace").decode().replace('"', "_").replace("\\", "_")
    ascii_name = "".join("_" if ord(char) < 32 or ord(char) == 127 else char for char in ascii_name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"


def content_type(reply: FileReply) -> str:
    """The type by the name's ending; G-code and configuration are shown as text."""
    if reply.content_type is not None:
        return reply.content_type
    ending = os.path.splitext(reply.name)[1].lower()
    if ending in (".gcode", ".g", ".gco", ".nc", ".cfg", ".log"):
        return "text/plain"
    kind, packed = mimetypes.guess_type(reply.name)
    if packed is not None:  # the bytes are those of the archive, whatever is in it
        return "application/gzip" if packed == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"


def open_regular(reply: FileReply) -> tuple[BinaryIO, os.stat_result]:
    """Open the file of a reply (blocking).

    Raises:
        NotFound: it is gone. Forbidden: it is no regular file, or this process may not read it.
    """
    try:
        # O_NONBLOCK: opening a FIFO that somebody put into a root must not hang a thread.
        handle = os.fdopen(os.open(reply.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0)
    except FileNotFoundError:
        raise NotFound(f"File not found: {reply.name}") from None
    except OSError:
        raise Forbidden(f"File cannot be read: {reply.name}") from None
    status = os.fstat(handle.fileno())
    if not stat.S_ISREG(status.st_mode):
        handle.close()
        raise Forbidden(f"Not a file: {reply.name}")
    return handle, status


def block_size(files: int) -> int:
    """Bytes to read ahead of each client while this many files are sent: many slow clients must not fill the memory."""
    return max(_SMALLEST, _LARGEST // files)


async def send_file(
    connection: HTTPConnection, verb: str, asked: HTTPHeaders, reply: FileReply, headers: HTTPHeaders, block: int
) -> None:
    """Answer a GET or HEAD with a file, read by `block` bytes.

    Raises:
        NotFound, Forbidden: nothing has been sent yet.
        StreamClosedError: the client went away; TimeoutError: it takes nothing. The file is closed.
    """
    handle, status = await asyncio.to_thread(open_regular, reply)
    try:
        size = status.st_size
        headers["Content-Type"] = content_type(reply)
        headers["Content-Disposition"] = content_disposition(reply.name)
        headers["Accept-Ranges"] = "bytes"
        headers["Last-Modified"] = formatdate(status.st_mtime, usegmt=True)
        if not_modified(asked.get("If-Modified-Since"), status.st_mtime):
            del headers["Content-Type"]
            connection.write_headers(ResponseStartLine("HTTP/1.1", 304, "Not Modified"), headers)
            return
        try:
            interval = parse_range(asked.get("Range"), size)
        except Unsatisfiable:
            headers["Content-Type"] = "text/plain"
            headers["Content-Range"] = f"bytes */{size}"
            headers["Content-Length"] = "0"
            connection.write_headers(ResponseStartLine("HTTP/1.1", 416, "Range Not Satisfiable"), headers)
            return
        start, end = interval or (0, size)
        if interval is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - start)
        line = (
            ResponseStartLine("HTTP/1.1", 206, "Partial Content")
            if interval
            else ResponseStartLine("HTTP/1.1", 200, "OK")
        )
        started = connection.write_headers(line, headers)
        if verb != "HEAD" and end > start:
            await started
            await _send_body(connection, handle, start, end, block)
    finally:
        handle.close()


async def _send_body(connection: HTTPConnection, handle: BinaryIO, start: int, end: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    descriptor = handle.fileno()

    def read(offset: int) -> bytes:
        return os.pread(descriptor, min(size, end - offset), offset)

    ahead = loop.run_in_executor(None, read, start)
    try:
        while start < end:
            block = await ahead
            if not block:
                raise OSError("the file became shorter while it was sent")
            start += len(block)
            if start < end:
                ahead = loop.run_in_executor(None, read, start)
            async with asyncio.timeout(STALL_SECONDS):
                await connection.write(block)
    finally:
        if not ahead.done():
            await asyncio.wait([ahead])  # the descriptor must not be closed (and reused) under a running read
