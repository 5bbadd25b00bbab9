"""The component: follows the printer, keeps the rows, answers server.history."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.history.files import Presence
from moonraker_lite.components.history.prints import FIELDS, Status
from moonraker_lite.components.history.recorder import NO_USER, Checkpoint, Recorder, job_id, live
from moonraker_lite.components.history.store import JobRow, JobStore
from moonraker_lite.components.history.tracker import Began, Change, Phase, Tracker
from moonraker_lite.components.history.types import (
    Deleted,
    DeleteParams,
    HistoryChange,
    Job,
    JobAnswer,
    JobList,
    JobParams,
    LastTotals,
    ListParams,
    Totals,
)
from moonraker_lite.components.printer import Printer, PrintRequested
from moonraker_lite.errors import BadRequest, Forbidden, NotFound
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, KlippyState, StatusHub
from moonraker_lite.klippy.relay import KlippyStateChanged
from moonraker_lite.storage import Database
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 60.0  # between two notes of how far a print is: what a power cut may take off its figures
REQUEST_SECONDS = 60.0  # after which a request to print has nothing to do with a print that begins
DRAIN_SECONDS = 3.0  # what the last records may take when the host stops
_UID = re.compile(r"[0-9A-Fa-f]{1,12}")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class History(Component, section="history"):
    """One row per print.

    The printer's print_stats tell what goes on; requests to print tell who asked. A print goes on while this host is
    stopped or dead: its row stays open, and is closed by the host that sees (or can work out) its end.
    """

    def __init__(
        self, db: Database, hub: StatusHub, klippy: KlippyClient, events: Events, files: FileManager, printer: Printer
    ) -> None:
        self._store = JobStore(db)
        self._hub = hub
        self._klippy = klippy
        self._events = events
        self._files = files
        self._recorder = Recorder(self._store, files, self._announce)
        self._tracker = Tracker("")
        self._tasks = TaskOwner("history")
        self._ends: list[Callable[[], None]] = []
        self._unwatch: Callable[[], None] = lambda: None
        self._greeting = True  # the next status is a full one
        self._request: tuple[PrintRequested, float] | None = None
        self._recording: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what the host before has left, and begin to follow the printer."""
        found = await self._store.open_job()
        if found is not None:
            self._recorder.job, self._recorder.running = found[0], not found[1].closed
        last = await self._store.last_print()
        self._tracker = Tracker(_boot_id(), found[1] if found else None, last)
        self._recording = self._tasks.spawn(self._recorder.run(), "recorder")
        self._noting = self._tasks.spawn(self._checkpoints(), "checkpoints")
        self._ends = [
            self._events.subscribe(KlippyStateChanged, self._on_state),
            self._events.subscribe(PrintRequested, self._on_request),
        ]
        self._watch()

    async def stop(self) -> None:
        """Leave a running print's row open for the host that comes after."""
        for end in self._ends:
            end()
        self._ends = []
        self._unwatch()
        if self._noting is not None:
            # A checkpoint behind the farewell would say that this host had died.
            self._noting.cancel()
            self._noting = None
        if self._recording is not None:
            self._recording = None
            await self._say_goodbye()
        await self._tasks.close()

    async def _say_goodbye(self) -> None:
        if self._tracker.print is not None:
            self._recorder.put(Checkpoint(self._tracker.print, left_open=True))
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._recorder.drain()
        except TimeoutError:
            _LOGGER.error("the last changes of the history could not be stored")

    # -- following the printer -------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._unwatch()
        self._greeting = True
        self._unwatch = self._hub.watch({"print_stats": FIELDS}, self._on_status)

    def _on_status(self, changed: dict[str, dict[str, Any]], eventtime: float) -> None:
        fields = changed.get("print_stats", {})
        if self._greeting:
            self._greeting = False
            ready = self._klippy.state is KlippyState.READY
            self._take(self._tracker.attach(fields, eventtime, time.time(), ready))
        else:
            self._take(self._tracker.update(fields, eventtime, time.time()))

    def _on_state(self, event: KlippyStateChanged) -> None:
        if event.state is KlippyState.DISCONNECTED:
            self._greeting = True
            self._take(self._tracker.lose(Status.KLIPPY_DISCONNECT, time.time()))
        elif event.state in (KlippyState.SHUTDOWN, KlippyState.ERROR):
            self._take(self._tracker.lose(Status.KLIPPY_SHUTDOWN, time.time()))
        elif event.state is KlippyState.READY and self._tracker.phase is Phase.AWAY and not self._greeting:
            self._watch()  # ready again without a new connection: all values once more

    def _on_request(self, event: PrintRequested) -> None:
        self._request = (event, time.monotonic())
        self._take(self._tracker.expect())

    def _take(self, changes: list[Change]) -> None:
        for change in changes:
            user = self._asked_by(change.print.filename) if isinstance(change, Began) else NO_USER
            self._recorder.put(change, user)

    def _asked_by(self, filename: str) -> str:
        """Who asked for a print of this file that has just begun."""
        if self._request is None:
            return NO_USER
        request, when = self._request
        if request.filename != filename or time.monotonic() - when > REQUEST_SECONDS:
            return NO_USER
        return request.user or NO_USER

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            if self._tracker.print is not None:
                self._recorder.put(Checkpoint(self._tracker.print))

    # -- telling clients -------------------------------------------------------------------------------------------

    def _announce(self, action: Literal["added", "finished"], row: JobRow) -> None:
        self._events.notify("history_changed", HistoryChange(action, self._job(row, Presence(self._files))))

    def _job(self, row: JobRow, presence: Presence) -> Job:
        current = self._tracker.print
        if current is not None and self._recorder.running and row.id == self._recorder.job:
            row = live(row, current.stats)
        return Job(
            job_id(row.id),
            row.user,
            row.filename,
            row.status,
            row.start_time,
            row.end_time,
            row.print_duration,
            row.total_duration,
            row.filament_used,
            msgspec.Raw(row.metadata),
            msgspec.Raw(row.auxiliary_data),
            presence.of(row.filename, row.metadata),
        )

    # -- endpoints -------------------------------------------------------------------------------------------------

    @endpoint("GET", "/server/history/list", rpc="server.history.list")
    async def list_jobs(self, request: Request, params: ListParams) -> JobList:
        """Jobs, newest first."""
        order = params.order.upper()
        if order not in ("ASC", "DESC"):
            raise BadRequest(f"Invalid `order` value: {order}")
        limit = params.limit if params.limit > 0 else -1
        rows = await self._store.rows(
            min(limit, _MANY), min(max(params.start, 0), _MANY), params.before, params.since, order == "ASC"
        )
        await self._files.ready()
        presence = Presence(self._files)
        return JobList(len(rows), [self._job(row, presence) for row in rows])

    @endpoint("GET", "/server/history/job", rpc="server.history.get_job")
    async def get_job(self, request: Request, params: JobParams) -> JobAnswer:
        """One job."""
        row = await self._store.get(_number(params.uid))
        if row is None:
            raise _unknown(params.uid)
        await self._files.ready()
        return JobAnswer(self._job(row, Presence(self._files)))

    @endpoint("DELETE", "/server/history/job", rpc="server.history.delete_job")
    async def delete_job(self, request: Request, params: DeleteParams) -> Deleted:
        """Forget one job or all; the one that runs stays. The totals stay as they are."""
        if params.all:
            return Deleted([job_id(number) for number in await self._store.delete_all()])
        if params.uid is None:
            raise BadRequest("No data for argument: uid")
        number = _number(params.uid)
        if not await self._store.delete(number):
            if await self._store.get(number) is not None:
                raise Forbidden(f"Job {params.uid} is running; cancel it first")
            raise _unknown(params.uid)
        return Deleted([job_id(number)])

    @endpoint("GET", "/server/history/totals", rpc="server.history.totals")
    async def totals(self, request: Request) -> Totals:
        """Sums and maxima over all jobs since the last reset."""
        return Totals(await self._store.totals(), [])

    @endpoint("POST", "/server/history/reset_totals", rpc="server.history.reset_totals")
    async def reset_totals(self, request: Request) -> LastTotals:
        """Begin to count anew; the answer holds what was."""
        return LastTotals(await self._store.reset_totals(), [])


_MANY = 2**62  # SQLite takes no larger numbers


def _number(uid: str) -> int:
    """The id of the row that clients know as `uid`."""
    if not _UID.fullmatch(uid):
        raise _unknown(uid)
    return int(uid, 16)


def _unknown(uid: str) -> NotFound:
    return NotFound(f"Invalid job uid: {uid}")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
