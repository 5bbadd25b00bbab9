"""Unpacking containers of G-code for the host (blocking): in its own threads what zlib does, in a process the rest."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec

from moonraker_lite.components.file_manager.facts import disk_usage
from moonraker_lite.components.file_manager.room import ROOM
from moonraker_lite.errors import Unavailable, UnprocessableContent
from moonraker_lite.gcode_metadata.kinds import MAX_GCODE_BYTES, ContainerError, Kind, Unpacked

_LOGGER = logging.getLogger(__name__)

THREADS = 2  # that wait for containers, so that other file work need not
COMMAND = (sys.executable, "-m", "moonraker_lite.gcode_metadata.unpacking")
LARGE = 4 * 1024 * 1024  # bytes of binary G-code that take a while
LIMIT_SECONDS = 1800.0
NICENESS = 10

T = TypeVar("T")


class Unpacker:
    """`unpack` may be called in several threads. `stop` ends what runs, and nothing is unpacked after it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="unpack")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    async def thread(self, work: Callable[[], T]) -> T:
        """Do blocking work that unpacks something in a thread for this. Raises Unavailable when the host stops."""
        if self._stopped:
            raise Unavailable("The host stops")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def unpack(self, path: str, name: str, folder: str, kind: Kind, plate: int) -> Unpacked:
        """Write the prints of the file, whose name is or shall be `name`, into a folder that is there for this. That of
        `plate` is the first one if there is such a plate.

        Raises:
            UnprocessableContent: the container is damaged, holds no print or too much. OSError: the disk refuses.
            Unavailable: the host stops.
        """
        limit = min(MAX_GCODE_BYTES, _room(folder))
        if kind is not Kind.BGCODE:
            from moonraker_lite.gcode_metadata.unpacking import unpack_all

            try:
                return unpack_all(path, name, Path(folder), kind, limit, plate)
            except ContainerError as error:
                raise UnprocessableContent(str(error)) from None
        return self._apart(path, name, folder, limit)

    def stop(self) -> None:
        """End the processes."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
        self._pool.shutdown(wait=False)

    def _apart(self, path: str, name: str, folder: str, limit: int) -> Unpacked:
        if os.path.getsize(path) > LARGE and find_spec("heatshrink2") is None:
            _LOGGER.info("unpacking %s; `pip install heatshrink2` makes this a third faster", os.path.basename(name))
        process = self._start(path, name, folder, str(limit))
        try:
            output, _ = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise UnprocessableContent(f"Unpacking the file takes longer than {LIMIT_SECONDS:g} s") from None
        finally:
            with self._lock:
                self._running.discard(process)
            process.kill()
            process.communicate()
        if self._stopped:
            raise Unavailable("The host stops")
        try:
            result = msgspec.json.decode(output, type=Unpacked)
        except msgspec.DecodeError:
            raise UnprocessableContent("Unpacking the file failed; export it as text") from None
        if result.errno is not None:
            raise OSError(result.errno, os.strerror(result.errno))
        if result.error is not None:
            raise UnprocessableContent(result.error)
        return result

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise Unavailable("The host stops")
            process = subprocess.Popen(
                (*COMMAND, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        except OSError:
            pass  # it has ended already
        return process


def _room(folder: str) -> int:
    try:
        total, _, free = disk_usage(folder)
    except OSError:
        return MAX_GCODE_BYTES
    return max(0, free - min(ROOM, total // 20))
