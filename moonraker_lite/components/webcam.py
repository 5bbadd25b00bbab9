"""Webcams: what front ends need to show them, from the configuration and from clients (server.webcams.*)."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.webcam_probe import own_address, reachable
from moonraker_lite.errors import BadRequest, NotFound
from moonraker_lite.events import Events
from moonraker_lite.storage import Database, Namespaces

_LOGGER = logging.getLogger(__name__)
NAMESPACE = "webcams"
MAX_WEBCAMS = 100
MAX_EXTRA = 64 * 1024
_RATIO = re.compile(r"[1-9]\d{0,4}:[1-9]\d{0,4}")
# Front ends put these into src and href attributes: a script must not get there.
_SCHEMES = frozenset({"", "http", "https", "ws", "wss", "rtsp", "rtsps", "webrtc", "srt"})
_SPACE = re.compile(r"[\x00-\x20\x7f]")
Url = Annotated[str, Meta(max_length=4096)]
Text = Annotated[str, Meta(max_length=256)]


class WebcamSettings(msgspec.Struct, frozen=True):
    """A section `[webcam name]`."""

    stream_url: str = ""
    snapshot_url: str = ""
    enabled: bool = True
    icon: str = "mdiWebcam"
    aspect_ratio: str = "4:3"
    target_fps: int = 15
    target_fps_idle: int = 5
    location: str = "printer"
    service: str = "mjpegstreamer"
    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation: int = 0


class Webcam(WebcamSettings, frozen=True, kw_only=True):
    """One webcam as clients see it. `source` is config or database; `extra_data` belongs to the front ends."""

    name: str
    source: str = "database"
    extra_data: dict[str, Any] = {}
    uid: str = ""


class Selector(msgspec.Struct, frozen=True):
    """Which webcam: `uid` counts before `name`."""

    name: str | None = None
    uid: str | None = None


class Change(msgspec.Struct, frozen=True):
    """A new webcam, or the fields of one that change. What is not given stays as it is."""

    name: Text | None = None
    uid: str | None = None
    enabled: bool | UnsetType = UNSET
    icon: Text | UnsetType = UNSET
    aspect_ratio: Text | UnsetType = UNSET
    target_fps: int | UnsetType = UNSET
    target_fps_idle: int | UnsetType = UNSET
    location: Text | UnsetType = UNSET
    service: Text | UnsetType = UNSET
    stream_url: Url | UnsetType = UNSET
    snapshot_url: Url | UnsetType = UNSET
    flip_horizontal: bool | UnsetType = UNSET
    flip_vertical: bool | UnsetType = UNSET
    rotation: int | UnsetType = UNSET
    extra_data: dict[str, Any] | UnsetType = UNSET


class WebcamAnswer(msgspec.Struct, frozen=True):
    webcam: Webcam


class WebcamList(msgspec.Struct, frozen=True):
    webcams: list[Webcam]


class TestAnswer(msgspec.Struct, frozen=True):
    """`stream_url` is made absolute; whether it works is not tried: a stream has no end."""

    name: str
    snapshot_reachable: bool
    snapshot_url: str
    stream_url: str


def check(webcam: Webcam) -> None:
    """Raise BadRequest when a value could not be shown."""
    if not webcam.name.strip():
        raise BadRequest("A webcam needs a name")
    if not _RATIO.fullmatch(webcam.aspect_ratio):
        raise BadRequest(f"Invalid value for 'aspect_ratio': {webcam.aspect_ratio}; it looks like 16:9")
    if len(msgspec.json.encode(webcam.extra_data)) > MAX_EXTRA:
        raise BadRequest(f"'extra_data' is too large: at most {MAX_EXTRA} bytes of JSON are kept")
    for option, url in (("stream_url", webcam.stream_url), ("snapshot_url", webcam.snapshot_url)):
        try:
            scheme = urlsplit(_SPACE.sub("", url)).scheme.lower()
        except ValueError:
            scheme = "?"
        if scheme not in _SCHEMES:
            raise BadRequest(
                f"Invalid value for '{option}': it must be relative, http(s), ws(s), rtsp(s), webrtc or srt"
            )


class Webcams(Component, section="webcam"):
    """Keeps the webcams; those of the configuration cannot be changed by clients."""

    def __init__(
        self, configured: dict[str, WebcamSettings], database: Database, events: Events, facts: HostFacts
    ) -> None:
        self._store = Namespaces(database)
        self._events = events
        self._facts = facts
        self._changing = asyncio.Lock()
        self._configured = {
            name: settings for section, settings in configured.items() if (name := section.partition(" ")[2].strip())
        }
        self._webcams: dict[str, Webcam] = {}

    async def start(self) -> None:
        """Take the webcams of the configuration, then those of the database that can be read."""
        for name, settings in self._configured.items():
            webcam = Webcam(
                name=name,
                source="config",
                uid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"moonraker:webcam:{name}")),
                **msgspec.structs.asdict(settings),
            )
            try:
                check(webcam)
            except BadRequest as error:
                self._facts.warn(f"[webcam {name}]: {error.message}; the webcam is left out")
                continue
            self._webcams[name] = webcam
        for uid, row in (await self._stored()).items():
            try:
                webcam = msgspec.convert({**row, "uid": uid, "source": "database"}, Webcam)
                check(webcam)
            except (msgspec.ValidationError, TypeError, BadRequest) as error:
                _LOGGER.warning("webcam %s of the database is left out: %s", uid, error)
                continue
            if webcam.name not in self._webcams:
                self._webcams[webcam.name] = webcam

    async def _stored(self) -> dict[str, Any]:
        try:
            rows = await self._store.get(NAMESPACE)
        except NotFound:
            return {}
        return rows if isinstance(rows, dict) else {}

    @property
    def webcams(self) -> list[Webcam]:
        """All webcams, those of the configuration first."""
        return list(self._webcams.values())

    @endpoint("GET", "/server/webcams/list", rpc="server.webcams.list")
    def list_webcams(self, request: Request) -> WebcamList:
        """All webcams."""
        return WebcamList(self.webcams)

    @endpoint("GET", "/server/webcams/item", rpc="server.webcams.get_item")
    def get_webcam(self, request: Request, params: Selector) -> WebcamAnswer:
        """One webcam."""
        return WebcamAnswer(self._find(params))

    @endpoint("POST", "/server/webcams/item", rpc="server.webcams.post_item")
    async def post_webcam(self, request: Request, params: Change) -> WebcamAnswer:
        """Add a webcam, or change the one with this uid or, without a uid, with this name."""
        async with self._changing:
            old = self._to_change(params)
            given = {
                name: value
                for name in msgspec.structs.asdict(params)
                if name not in ("name", "uid") and (value := getattr(params, name)) is not UNSET
            }
            if old is None:
                new = self._new(params, given)
            else:
                new = msgspec.structs.replace(old, **given, name=params.name or old.name)
            check(new)
            if (old is None or new.name != old.name) and new.name in self._webcams:
                before = old.name if old else ""
                raise BadRequest(
                    f"Cannot rename webcam from '{before}' to '{new.name}'.  "
                    f"Webcam with requested name '{new.name}' already exists."
                )
            await self._store.insert(NAMESPACE, (new.uid,), msgspec.to_builtins(new))
            # In the same place as before, whatever the name.
            names = [new if webcam is old else webcam for webcam in self.webcams]
            self._webcams = {webcam.name: webcam for webcam in (names if old else [*names, new])}
        self._notify()
        return WebcamAnswer(new)

    @endpoint("DELETE", "/server/webcams/item", rpc="server.webcams.delete_item")
    async def delete_webcam(self, request: Request, params: Selector) -> WebcamAnswer:
        """Remove a webcam that a client has added."""
        async with self._changing:
            webcam = self._find(params)
            if webcam.source == "config":
                raise BadRequest(f"Cannot delete webcam '{webcam.name}' sourced from Moonraker configuration")
            try:
                await self._store.delete(NAMESPACE, (webcam.uid,))
            except NotFound:
                _LOGGER.info("webcam %s was gone from the database already", webcam.uid)
            del self._webcams[webcam.name]
        self._notify()
        return WebcamAnswer(webcam)

    @endpoint("POST", "/server/webcams/test", rpc="server.webcams.test")
    async def test_webcam(self, request: Request, params: Selector) -> TestAnswer:
        """Make the addresses of a webcam absolute, and try whether the snapshot can be had."""
        webcam = self._find(params)
        base = f"http://{own_address()}"
        snapshot, stream = (
            base + url if url.startswith("/") else url for url in (webcam.snapshot_url, webcam.stream_url)
        )
        return TestAnswer(webcam.name, await reachable(snapshot), snapshot, stream)

    def _find(self, params: Selector) -> Webcam:
        """The webcam that is meant. Raises NotFound, BadRequest."""
        if params.uid is not None:
            found = self._with_uid(params.uid)
            if found is None:
                raise NotFound(f"Webcam with UID {params.uid} not found")
        elif params.name is not None:
            found = self._webcams.get(params.name)
            if found is None:
                raise NotFound(f"Webcam {params.name} not found")
        else:
            raise BadRequest("No data for argument: name")
        return found

    def _to_change(self, params: Change) -> Webcam | None:
        """The webcam that a change is about; None for a new one. Raises NotFound, BadRequest."""
        if params.uid is None and params.name is not None and params.name not in self._webcams:
            return None
        old = self._find(Selector(params.name, params.uid))
        if old.source == "config":
            raise BadRequest(f"Cannot overwrite webcam '{old.name}' sourced from Moonraker configuration")
        return old

    def _new(self, params: Change, given: dict[str, Any]) -> Webcam:
        if "stream_url" not in given:
            raise BadRequest("No data for argument: stream_url")
        if len(self._webcams) >= MAX_WEBCAMS:
            raise BadRequest(f"There are {MAX_WEBCAMS} webcams already; remove one first")
        return Webcam(name=params.name or "", uid=str(uuid.uuid4()), **given)

    def _with_uid(self, uid: str) -> Webcam | None:
        return next((webcam for webcam in self._webcams.values() if webcam.uid == uid), None)

    def _notify(self) -> None:
        self._events.notify("webcams_changed", WebcamList(self.webcams))
