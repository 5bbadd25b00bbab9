"""Uploads: from a streamed form to a file that is whole, durable and announced, or to nothing at all."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from moonraker_lite.api.replies import Reply
from moonraker_lite.api.request import Request, User
from moonraker_lite.components.file_manager import listing
from moonraker_lite.components.file_manager.changes import Action, Place
from moonraker_lite.components.file_manager.destination import Destination, destination, find_spot
from moonraker_lite.components.file_manager.disk_errors import as_host_error, explained
from moonraker_lite.components.file_manager.form import FileBegins, FormReader
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.names import is_scanned
from moonraker_lite.components.file_manager.parts import Part
from moonraker_lite.components.file_manager.paths import normalize
from moonraker_lite.components.file_manager.pipeline import BLOCK, SMALL_BLOCK, BlockWriter
from moonraker_lite.components.file_manager.placing import make_folders, put, remove_folders
from moonraker_lite.components.file_manager.room import check_room
from moonraker_lite.components.file_manager.roots import Folder, Root
from moonraker_lite.components.file_manager.types import UploadResult
from moonraker_lite.components.file_manager.unpacker import Unpacker
from moonraker_lite.errors import (
    BadRequest,
    HostError,
    PayloadTooLarge,
    TooManyRequests,
    Unavailable,
    UnprocessableContent,
)

_LOGGER = logging.getLogger(__name__)

STOP_SECONDS = 5.0
MAX_UPLOADS = 64  # at a time
FEW_UPLOADS = 4  # of so many each may use as much memory as makes it fastest
_HOST = re.compile(r"[A-Za-z0-9._:\-\[\]]{1,255}")


class PrintStarter(Protocol):
    """Starts prints of uploaded files; given by the component that knows the printer."""

    async def start_print(self, filename: str, user: User | None) -> None:
        """Start it. Raises HostError when the printer cannot print now."""


class PrintQueue(Protocol):
    """Takes uploaded files that cannot be printed at once."""

    async def queue_print(self, filename: str, user: User | None) -> None:
        """Add it to the queue. Raises HostError when that is not possible."""


class Uploader:
    """What all uploads share."""

    def __init__(
        self, library: Library, printed: PrintedFile, unpacker: Unpacker, max_size: int, *, queue_prints: bool
    ) -> None:
        self.library = library
        self.printed = printed
        self.unpacker = unpacker
        self.max_size = max_size
        self.queue_prints = queue_prints
        self.starter: PrintStarter | None = None
        self.queue: PrintQueue | None = None
        self.making_folders = asyncio.Lock()
        self._open: set[UploadSink] | None = set()

    async def close(self) -> None:
        """Give up what is still coming in, wait a little for what is being stored; nothing new is taken."""
        sinks, self._open = self._open or set(), None
        if sinks:
            ends = [asyncio.ensure_future(sink.abort()) for sink in sinks]
            _, late = await asyncio.wait(ends, timeout=STOP_SECONDS)
            for end in late:
                end.cancel()

    def ended(self, sink: UploadSink) -> None:
        """An upload was stored or given up."""
        if self._open is not None:
            self._open.discard(sink)
            self.library.passes.busy("uploads", is_so=bool(self._open))

    @property
    def block(self) -> int:
        """Bytes of memory that a new upload may use, twice."""
        return BLOCK if len(self._open or ()) <= FEW_UPLOADS else SMALL_BLOCK

    async def open(self, request: Request, location: Callable[[Place], str] | None = None) -> UploadSink:
        """Take an upload whose body is about to come. `location` makes the Location header's path of the file's place.

        Raises:
            UnsupportedMediaType, BadRequest: the body will not be a form. PayloadTooLarge, InsufficientStorage: it is
            larger than what is taken or than what there is room for.
        """
        form = FormReader(request.headers.get("Content-Type", ""))
        length = _length(request.headers)
        if length > self.max_size:
            raise PayloadTooLarge(f"The upload has {length} bytes; at most {self.max_size} are taken")
        await self.library.ready()
        root = self.library.roots.get("gcodes")
        if root is not None:
            await self.library.thread(lambda: check_room(str(root.path), length, "the upload"))
        self.library.scanning.warm()
        if self._open is None:
            raise Unavailable("The host stops; upload again when it is back")
        if len(self._open) >= MAX_UPLOADS:
            raise TooManyRequests(f"{MAX_UPLOADS} uploads are coming in already; try again when one of them has ended")
        sink = UploadSink(self, request, form, location or _location)
        self._open.add(sink)
        self.library.passes.busy("uploads", is_so=True)
        return sink


class _State(enum.Enum):
    READING = enum.auto()  # the body comes in
    STORING = enum.auto()  # it is complete, and on its way to its place; this is not interrupted
    ENDED = enum.auto()  # it was stored, or nothing of it is left


class UploadSink:
    """One upload: a BodySink."""

    def __init__(self, owner: Uploader, request: Request, form: FormReader, location: Callable[[Place], str]) -> None:
        self._owner = owner
        self._library = owner.library
        self._request = request
        self._form = form
        self._location = location
        self._state = _State.READING
        self._filename = ""
        self._received = 0
        self._part: Part | None = None
        self._writer: BlockWriter | None = None
        self._work: asyncio.Future[Reply] | None = None

    async def write(self, chunk: bytes) -> None:
        """See BodySink. After an error nothing of the upload is left."""
        try:
            self._received += len(chunk)
            if self._received > self._owner.max_size:
                raise PayloadTooLarge(f"The upload has more than the {self._owner.max_size} bytes that are taken")
            for event in self._form.feed(chunk):
                if self._state is not _State.READING:
                    continue  # the client went away while we waited for the disk
                if isinstance(event, FileBegins):
                    await self._begin(event.filename)
                else:
                    assert self._writer is not None
                    await self._writer.write(event)
        except OSError as error:
            await self.abort()
            raise as_host_error(error, "The upload") from None
        except BaseException:
            await self.abort()
            raise

    async def _begin(self, filename: str) -> None:
        """The file comes: make its temporary file, in the folder it goes to if that is known already."""
        library = self._library
        if not normalize(filename) or not filename.strip():
            raise BadRequest("The uploaded file has no name")
        self._filename = filename
        folder = str(self._default().path)
        target: str | None = None
        if "root" in self._form.fields or "path" in self._form.fields:
            goal = destination(library.roots, self._form.fields, filename)
            node = library.index.folder(goal.place.parent)
            folder = node.real if node is not None else str(goal.root.path)
            target = os.path.join(folder, goal.place.name) if node is not None else None

        def make() -> Part:
            if target is not None:
                self._owner.printed.protect(target)  # asked again when the file is placed
            with Folder(folder, library.reserved) as opened:
                return Part(opened)

        making = asyncio.get_running_loop().run_in_executor(library.pool, make)
        try:
            part = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_discard_made)
            raise
        if self._state is not _State.READING:
            await library.thread(part.discard)
            return
        self._part = part
        hashing = "checksum" in self._form.fields
        self._writer = BlockWriter(part, library.pool, hashing=hashing, block=self._owner.block)

    def _default(self) -> Root:
        root = self._library.roots.get("gcodes")
        if root is None:
            raise BadRequest("There is no folder for G-code")
        return root

    async def abort(self) -> None:
        """See BodySink. Safe at any time, also twice. What is being stored is waited for instead."""
        if self._state is _State.STORING and self._work is not None:
            await asyncio.wait([self._work])
            return
        await self._end()

    async def _end(self) -> None:
        self._state = _State.ENDED
        self._owner.ended(self)
        if self._writer is not None:
            await self._writer.stop()
        if self._part is not None:
            part, self._part = self._part, None
            await self._library.thread(part.discard)

    async def finish(self) -> Reply:
        """See BodySink: 201 and the item once it is durable and, for G-code, its metadata is known.

        Raises:
            HostError: the form is not complete, the checksum differs, or the file may not be where it should go.
        """
        if self._state is not _State.READING:
            raise BadRequest("The upload has ended already")
        self._state = _State.STORING
        work = self._work = asyncio.ensure_future(self._store())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The host stops: what has begun is ended first, so that nothing half done is left.
            await asyncio.wait([work])
            work.exception()
            raise

    async def _store(self) -> Reply:
        try:
            self._form.close()
            assert self._writer is not None
            await self._writer.finish()
            goal = destination(self._library.roots, self._form.fields, self._filename)
            wanted = self._form.fields.get("checksum", "").strip().lower()
            if wanted and wanted != await self._writer.digest():
                raise UnprocessableContent("File checksum mismatch: the upload was damaged on its way; send it again")
            return await self._place(goal)
        except OSError as error:
            raise as_host_error(error, "The upload") from None
        finally:
            await self._end()

    async def _place(self, goal: Destination) -> Reply:
        await self._library.up_to_date()
        folders = await self._make_folders(goal)
        try:
            return await self._place_in(goal)
        except BaseException:
            await self._library.thread(lambda: remove_folders(folders))
            raise

    async def _make_folders(self, goal: Destination) -> list[str]:
        """Make what is missing of the path; the new folders, topmost first."""
        library = self._library
        async with self._owner.making_folders:
            new = library.topmost_new(goal.folder)
            if new is None:
                return []
            async with library.operation(trees=[new]) as made:
                with explained(f"Making the directory {goal.folder}"):
                    folders = await library.thread(lambda: make_folders(goal, library.roots))
                if folders:
                    made.add(Action.CREATE_DIR, library.canonical(new))
            return folders

    async def _place_in(self, goal: Destination) -> Reply:
        library, place = self._library, self._library.canonical(goal.place)
        part = self._part
        assert part is not None
        through = await self._linked(goal)
        files = [place] if through is None else [place, through]
        async with library.operation(files) as made:
            owner = self._owner
            thread = owner.unpacker.thread if goal.is_container else library.thread
            await thread(lambda: put(part, goal, library.roots, owner.printed, owner.unpacker))
            await library.settle(place)
            await self._scan(place)
            for changed in files:
                made.add(Action.CREATE_FILE, changed)
            started, queued = await self._print(goal, place)
        item = library.item(place) or listing.gone(place)
        body = UploadResult(Action.CREATE_FILE.value, item)
        if goal.is_gcode:
            body = UploadResult(body.action, item, started, queued)
        location = _absolute(self._request.headers, self._location(goal.place))
        return Reply(body, 201, (("Location", location),))

    async def _linked(self, goal: Destination) -> Place | None:
        """The file behind a link at the destination; it is changed too, and known beforehand."""
        entry = self._library.index.entry(goal.place)
        if entry is None or not entry.link:
            return None
        spot = await self._library.thread(lambda: find_spot(self._library.roots, goal))
        return spot.through

    async def _scan(self, place: Place) -> None:
        if place.root == "gcodes" and is_scanned(place.path):
            await self._library.scanning.scan(place.path)

    async def _print(self, goal: Destination, place: Place) -> tuple[bool, bool]:
        """Whether the print was started or queued. That it could not be is no failure of the upload."""
        owner = self._owner
        if not goal.is_gcode or self._form.fields.get("print") != "true":
            return False, False
        try:
            if owner.starter is not None:
                await owner.starter.start_print(place.path, self._request.user)
                return True, False
        except HostError as error:
            _LOGGER.info("the uploaded file is not printed: %s", error.message)
        try:
            if owner.queue_prints and owner.queue is not None:
                await owner.queue.queue_print(place.path, self._request.user)
                return False, True
        except HostError as error:
            _LOGGER.info("the uploaded file is not queued: %s", error.message)
        return False, False


def _discard_made(making: asyncio.Future[Part]) -> None:
    """A temporary file was made for an upload that had been cancelled meanwhile."""
    if not making.cancelled() and making.exception() is None:
        making.result().discard()


def _length(headers: Mapping[str, str]) -> int:
    try:
        return max(0, int(headers.get("Content-Length") or 0))
    except ValueError:
        raise BadRequest("Content-Length is not a number") from None


def _location(place: Place) -> str:
    return f"/server/files/{quote(str(place))}"


def _absolute(headers: Mapping[str, str], path: str) -> str:
    """The full address of a path on this host as the client reached it; the path alone when that is not known."""
    host = headers.get("Host") or ""
    scheme = "https" if headers.get("X-Forwarded-Proto", "").lower() == "https" else "http"
    return f"{scheme}://{host}{path}" if _HOST.fullmatch(host) else path
