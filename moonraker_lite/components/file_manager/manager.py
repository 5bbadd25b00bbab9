"""The component: wires the parts together and is what other components know of files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.browsing import Browsing
from moonraker_lite.components.file_manager.change_api import ChangeApi
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.containers import Containers
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.klipper_folders import KlipperFolders
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.metadata import changed
from moonraker_lite.components.file_manager.metadata_api import MetadataApi
from moonraker_lite.components.file_manager.object_definitions import ObjectDefinitions
from moonraker_lite.components.file_manager.operations import Operations
from moonraker_lite.components.file_manager.roots import Root
from moonraker_lite.components.file_manager.scanner_process import command
from moonraker_lite.components.file_manager.settings import FileManagerSettings, SecretsSettings
from moonraker_lite.components.file_manager.slicer_tables import FOLDER, SlicerTables
from moonraker_lite.components.file_manager.transfer_api import TransferApi
from moonraker_lite.components.file_manager.unpacker import Unpacker
from moonraker_lite.components.file_manager.uploads import PrintQueue, PrintStarter, Uploader
from moonraker_lite.components.file_manager.worker import ScanWorker
from moonraker_lite.config import Config, ServerSettings
from moonraker_lite.datapath import DataPath
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, StatusHub
from moonraker_lite.klippy.relay import KlippyStateChanged
from moonraker_lite.storage import Database, MetadataStore, Namespaces
from moonraker_lite.tasks import TaskOwner

_RESERVED = ("database", "comms", "certs", "systemd", "backup")
_SYSTEM = ("/proc", "/sys", "/dev")  # whoever links to / means its files, not the state of this very process
_WATCHES = "file_manager: watches"
_CHECK_SECONDS = 10.0


class FileManager(Component, section="file_manager"):
    """Files of all roots."""

    def __init__(
        self,
        settings: FileManagerSettings,
        server: ServerSettings,
        config: Config,
        data: DataPath,
        facts: HostFacts,
        events: Events,
        db: Database,
        klippy: KlippyClient,
        hub: StatusHub,
    ) -> None:
        self._settings = settings
        self._data = data
        self._facts = facts
        self._events = events
        self._klippy = klippy
        worker = ScanWorker(settings.default_metadata_parser_timeout, command(str(data.config / FOLDER)))
        self._library = Library(
            events,
            MetadataStore(db),
            worker,
            follow_moves=settings.enable_move_analysis,
            pace=settings.move_analysis_pace,
        )
        self._tables = SlicerTables(data.config, self._library, worker, facts, events)
        self._library.version = self._tables.start
        passes = self._library.passes
        self._printed = PrintedFile(data.gcodes, hub, events, lambda is_so: passes.busy("printing", is_so=is_so))
        self._unpacker = Unpacker()
        self._containers = Containers(self._library, self._printed, self._unpacker)
        if settings.enable_object_processing:
            ObjectDefinitions(self._library, self._printed, worker)
        self._uploader = Uploader(
            self._library,
            self._printed,
            self._unpacker,
            server.max_upload_size * 1024 * 1024,
            queue_prints=settings.queue_gcode_uploads,
        )
        self._operations = Operations(self._library, self._printed)
        self._klipper = KlipperFolders(self._library, Namespaces(db), facts, data.config)
        self._owners = (
            Browsing(self._library),
            MetadataApi(self._library),
            ChangeApi(self._operations, self._library.roots),
            TransferApi(self._library, self._uploader, data, klippy),
        )
        self._ends: list[Callable[[], None]] = []
        self._tasks = TaskOwner("file_manager")
        self._reserve(config)
        watched = settings.file_system_observer == "inotify"
        writable = settings.enable_config_write_access
        for root in (
            Root("config", data.config, writable=writable, watched=watched),
            Root("logs", data.logs, writable=False, watched=False),
            Root("gcodes", data.gcodes, watched=watched),
        ):
            self._library.roots.register(root)

    def _reserve(self, config: Config) -> None:
        for name in _RESERVED:
            self._library.reserved.add(self._data.root / name)
        for system in _SYSTEM:
            self._library.reserved.add(Path(system))
        path = config.decode_valid("secrets", SecretsSettings).secrets_path
        self._library.reserved.add(path.expanduser() if path else self._data.root / f"{config.path.stem}.secrets")

    @property
    def endpoint_owners(self) -> tuple[object, ...]:
        return self._owners

    async def start(self) -> None:
        """Begin to read the roots; calls that need them wait."""
        self._ends.append(self._events.subscribe(KlippyStateChanged, self._klippy_changed))
        self._printed.start()
        self._library.start(watch=self._settings.file_system_observer == "inotify")
        self._tell_directories()
        self._tasks.spawn(self._recall_klipper(), "klipper")
        self._tasks.spawn(self._watch_for_trouble(), "trouble")

    async def stop(self) -> None:
        """End following, scanning and what is under way."""
        for end in self._ends:
            end()
        self._printed.stop()
        await self._tasks.close()
        self._unpacker.stop()
        await self._uploader.close()
        await self._tables.stop()
        await self._library.stop()

    # -- for other components --------------------------------------------------------------------------------------

    def metadata(self, filename: str) -> dict[str, Any] | None:
        """What is known of a G-code file (path in the gcodes root), without its name; None when nothing is."""
        record = self._library.book.get(filename)
        return record.fields() if record is not None else None

    async def scanned_metadata(self, filename: str) -> dict[str, Any] | None:
        """As `metadata`, after any scan of the file that is under way or due."""
        await self._library.ready()
        await self._library.settle()
        await self._library.scanning.scan(filename)
        return self.metadata(filename)

    async def ready(self) -> None:
        """Return when all roots have been read after the start; before, files seem not to be there."""
        await self._library.ready()

    def exists(self, filename: str) -> bool:
        """Whether the gcodes root has this file."""
        return self._library.index.entry(Place("gcodes", filename)) is not None

    async def printable(self, filename: str) -> str:
        """The file to print when a client asks for this one: the text of a container, and any other file itself.

        Raises:
            HostError: the container is damaged, or there is no room for its text.
        """
        return await self._containers.printable(filename)

    def set_job(self, filename: str, job_id: str, start_time: float) -> None:
        """Note in a file's metadata when and by which job it was last printed. Unknown files are ignored."""
        record = self._library.book.get(filename)
        if record is not None:
            self._library.book.put(filename, changed(record, print_start_time=start_time, job_id=job_id))
            self._library.note_metadata(Place("gcodes", filename))

    async def register_root(
        self, name: str, path: Path, *, writable: bool, watched: bool = True, readable: bool = True
    ) -> None:
        """Add a root, for example of timelapse videos. Clients are told by notify_filelist_changed `root_update`."""
        watched = watched and self._settings.file_system_observer == "inotify"
        await self._library.add_root(Root(name, path, writable=writable, watched=watched, readable=readable))
        self._tell_directories()

    async def open_upload(self, request: Request, location: Callable[[str], str]) -> BodySink:
        """Take an upload for another API. `location` makes the Location header's path of "gcodes/sub/a.gcode"."""
        return await self._uploader.open(request, lambda place: location(str(place)))

    def set_print_starter(self, starter: PrintStarter) -> None:
        """Give what starts prints of uploaded files."""
        self._uploader.starter = starter

    def set_print_queue(self, queue: PrintQueue) -> None:
        """Give what takes uploaded files that cannot be printed at once (`queue_gcode_uploads`)."""
        self._uploader.queue = queue

    # -- Klipper's own folders -------------------------------------------------------------------------------------

    def _klippy_changed(self, event: KlippyStateChanged) -> None:
        if self._klippy.info is not None:
            self._tasks.spawn(self._know_klipper(), "klipper")

    async def _know_klipper(self) -> None:
        info = self._klippy.info
        if info is None:
            return
        await self._klipper.learn(info)
        self._tell_directories()
        if info.config_file and self._settings.check_klipper_config_path:
            await self._klipper.check_config(info.config_file)

    async def _recall_klipper(self) -> None:
        await self._klipper.recall()
        self._tell_directories()

    def _tell_directories(self) -> None:
        self._facts.directories[:] = [root.name for root in self._library.roots]

    async def _watch_for_trouble(self) -> None:
        """Say so when the system cannot tell us of all changes."""
        await self._library.ready()
        while self._settings.observer_warnings:
            if self._library.follower.exhausted:
                self._facts.warn(
                    "The system has no inotify watches left: changes in some folders are noticed later. "
                    "Raise fs.inotify.max_user_watches (sysctl) and restart",
                    _WATCHES,
                )
                return
            await asyncio.sleep(_CHECK_SECONDS)
