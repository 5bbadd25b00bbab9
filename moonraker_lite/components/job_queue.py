"""`server.job_queue.*`: files to print one after the other. The queue lives in memory, as Moonraker's."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request, User
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.printer import Printer
from moonraker_lite.errors import BadRequest, HostError
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, KlippyState, StatusHub
from moonraker_lite.klippy.relay import KlippyStateChanged
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

NOTIFY_DELAY = 0.01  # s: the answer to the call that changes the queue leaves first, what the print tells comes after
MAX_JOBS = 10_000


class QueueState(Enum):
    """What the queue does next."""

    PAUSED = "paused"  # nothing, until somebody starts it
    READY = "ready"  # the next job begins when the printer has completed this one
    LOADING = "loading"  # the delay and the G-code before the next job
    STARTING = "starting"  # the printer has been asked to print


_NEXT = {
    QueueState.PAUSED: (QueueState.LOADING, QueueState.READY),
    QueueState.READY: (QueueState.LOADING, QueueState.PAUSED),
    QueueState.LOADING: (QueueState.STARTING, QueueState.PAUSED),
    QueueState.STARTING: (QueueState.READY, QueueState.PAUSED),
}


class JobQueueSettings(msgspec.Struct, frozen=True):
    """`[job_queue]`. `job_transition_delay` (s) and `job_transition_gcode` come before every job but the first after a
    start. With `automatic_transition` the queue goes on by itself when a print is complete; `load_on_startup` has it
    ready for that from the printer's start on."""

    load_on_startup: bool = False
    automatic_transition: bool = False
    job_transition_delay: Annotated[float, Meta(ge=0)] = 0.01
    job_transition_gcode: str = ""


class QueuedJob(msgspec.Struct, frozen=True):
    """`job_id` is 16 hexadecimal digits; `time_added` is a time of day, `time_in_queue` are seconds."""

    filename: str
    job_id: str
    time_added: float
    time_in_queue: float


class QueueStatus(msgspec.Struct, frozen=True):
    queued_jobs: list[QueuedJob]
    queue_state: str


class QueueChange(msgspec.Struct, frozen=True):
    """notify_job_queue_changed; `updated_queue` is null when only the state has changed."""

    action: str
    updated_queue: list[QueuedJob] | None
    queue_state: str


class PostParams(msgspec.Struct, frozen=True):
    """`reset` throws away what is queued before."""

    filenames: list[str]
    reset: bool = False


class DeleteParams(msgspec.Struct, frozen=True):
    """Jobs by id, or `all`."""

    job_ids: list[str] | None = None
    all: bool = False


class JumpParams(msgspec.Struct, frozen=True):
    job_id: str


class _Job(msgspec.Struct, frozen=True):
    id: str
    filename: str
    user: str | None
    added: float


class JobQueue(Component, section="job_queue"):
    """Starts one print after the other."""

    def __init__(
        self,
        settings: JobQueueSettings,
        events: Events,
        hub: StatusHub,
        klippy: KlippyClient,
        printer: Printer,
        files: FileManager,
    ) -> None:
        self._settings = settings
        self._events = events
        self._hub = hub
        self._klippy = klippy
        self._printer = printer
        self._files = files
        self._jobs: dict[str, _Job] = {}
        self._state = QueueState.PAUSED
        self._printing = ""  # the last state of print_stats
        self._loading: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks = TaskOwner("job_queue")
        self._ends: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to watch for prints that are complete, and to take uploads that are to be queued."""
        self._files.set_print_queue(self)
        self._ends = [
            self._events.subscribe(KlippyStateChanged, self._on_printer),
            self._hub.watch({"print_stats": ("state",)}, self._on_status),
        ]

    async def stop(self) -> None:
        """The queue ends with the host."""
        for end in self._ends:
            end()
        for timer in self._timers:
            timer.cancel()
        await self._tasks.close()

    async def queue_print(self, filename: str, user: User | None) -> None:
        """Add a file at the end, on behalf of `user`.

        Raises:
            BadRequest: there is no such file, or the queue is full.
        """
        self._add([filename], user)

    # -- endpoints -------------------------------------------------------------------------------------------------

    @endpoint("GET", "/server/job_queue/status", rpc="server.job_queue.status")
    def status(self, request: Request) -> QueueStatus:
        """The jobs in their order, and what the queue does."""
        return self._status()

    @endpoint("POST", "/server/job_queue/job", rpc="server.job_queue.post_job")
    async def post_job(self, request: Request, params: PostParams) -> QueueStatus:
        """Add files at the end; all of them or, if one does not exist, none."""
        await self._files.ready()
        self._add(params.filenames, request.user, params.reset)
        return self._status()

    @endpoint("DELETE", "/server/job_queue/job", rpc="server.job_queue.delete_job")
    async def delete_job(self, request: Request, params: DeleteParams) -> QueueStatus:
        """Take jobs out; unknown ids are ignored."""
        if params.all:
            self._jobs.clear()
        elif params.job_ids is None:
            raise BadRequest("No data for argument: job_ids")
        else:
            for job in params.job_ids:
                self._jobs.pop(job, None)
        self._notify("jobs_removed")
        return self._status()

    @endpoint("POST", "/server/job_queue/start", rpc="server.job_queue.start")
    async def start_queue(self, request: Request) -> QueueStatus:
        """Print the first job, if the printer is idle; with automatic transition, the others after it."""
        if self._state in (QueueState.PAUSED, QueueState.READY) and not self._load(0.0):
            self._go(self._resting())
        return self._status()

    @endpoint("POST", "/server/job_queue/pause", rpc="server.job_queue.pause")
    async def pause(self, request: Request) -> QueueStatus:
        """Begin no further job. A print that runs goes on."""
        self._pause()
        return self._status()

    @endpoint("POST", "/server/job_queue/jump", rpc="server.job_queue.jump")
    async def jump(self, request: Request, params: JumpParams) -> QueueStatus:
        """Put a job at the head of the queue."""
        job = self._jobs.pop(params.job_id, None)
        if job is None:
            raise BadRequest(f"Invalid job id: {params.job_id}")
        self._jobs = {job.id: job, **self._jobs}
        return self._status()

    # -- the queue at work -----------------------------------------------------------------------------------------

    def _add(self, filenames: list[str], user: User | None, reset: bool = False) -> None:
        for filename in filenames:
            if not self._files.exists(filename):
                raise BadRequest(f"G-Code File {filename} does not exist")
        if len(filenames) + (0 if reset else len(self._jobs)) > MAX_JOBS:
            raise BadRequest(f"The queue takes no more than {MAX_JOBS} jobs")
        if reset:
            self._jobs.clear()
        for filename in filenames:
            job = _Job(secrets.token_hex(8).upper(), filename, user.name if user is not None else None, time.time())
            self._jobs[job.id] = job
        self._notify("jobs_added")
        if self._state is QueueState.READY:
            self._load(0.0)

    def _load(self, delay: float, gcode: str = "") -> bool:
        """Begin with the first job if there is one and the printer can; says whether."""
        if not self._jobs or not self._can_print():
            return False
        self._go(QueueState.LOADING)
        self._loading = self._tasks.spawn(self._print_next(delay, gcode), "next")
        return True

    async def _print_next(self, delay: float, gcode: str) -> None:
        await asyncio.sleep(delay)
        try:
            if gcode:
                await self._klippy.gcode(gcode)
            job = next(iter(self._jobs.values()), None)
            if job is None:
                self._go(self._resting())
                return
            self._go(QueueState.STARTING)
            await self._printer.start_print(job.filename, job.user)
        except HostError as error:
            _LOGGER.warning("the next job cannot be printed: %s", error.message)
            self._pause()
            return
        self._jobs.pop(job.id, None)
        if self._state is QueueState.STARTING:  # nobody has paused it meanwhile
            self._go(self._resting(), notify=False)
        self._notify("job_loaded")

    def _resting(self) -> QueueState:
        """What the queue does when nothing is to be begun now."""
        return QueueState.READY if self._settings.automatic_transition else QueueState.PAUSED

    def _can_print(self) -> bool:
        known = self._klippy.state is KlippyState.READY and self._printer.print_state is not None
        return known and not self._printer.busy

    def _pause(self) -> None:
        loading, self._loading = self._loading, None
        if self._state is QueueState.LOADING and loading is not None and loading is not asyncio.current_task():
            loading.cancel()
        self._go(QueueState.PAUSED)

    def _on_status(self, changed: dict[str, dict[str, Any]], eventtime: float) -> None:
        state = changed.get("print_stats", {}).get("state")
        if not isinstance(state, str):
            return
        before, self._printing = self._printing, state
        if self._state is not QueueState.READY or before not in ("printing", "paused"):
            return
        if state == "complete":
            self._load(self._settings.job_transition_delay, self._settings.job_transition_gcode)
        elif state in ("error", "cancelled"):
            self._pause()

    def _on_printer(self, event: KlippyStateChanged) -> None:
        if event.state is KlippyState.READY:
            if self._settings.load_on_startup and self._state is QueueState.PAUSED:
                self._go(QueueState.READY)
        elif event.state is not KlippyState.STARTUP:
            self._printing = ""
            self._pause()

    def _go(self, state: QueueState, notify: bool = True) -> None:
        """Go to another state; the only place where it changes."""
        if state is self._state:
            return
        assert state in _NEXT[self._state], f"{self._state} -> {state}"
        self._state = state
        if notify:
            self._notify("state_changed", queue=False)

    # -- telling clients -------------------------------------------------------------------------------------------

    def _status(self) -> QueueStatus:
        return QueueStatus(self._queue(), self._state.value)

    def _queue(self) -> list[QueuedJob]:
        now = time.time()
        return [QueuedJob(job.filename, job.id, job.added, now - job.added) for job in self._jobs.values()]

    def _notify(self, action: str, queue: bool = True) -> None:
        """Tell clients soon how things are now."""
        change = QueueChange(action, self._queue() if queue else None, self._state.value)

        def send() -> None:
            self._timers.discard(timer)
            self._events.notify("job_queue_changed", change)

        timer = asyncio.get_running_loop().call_later(NOTIFY_DELAY, send)
        self._timers.add(timer)
