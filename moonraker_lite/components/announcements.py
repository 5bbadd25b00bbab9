"""Announcements: the feeds and their entries, as server.announcements.* of Moonraker.

The host asks nobody on the network, so there are never entries; the feeds that users subscribe to are kept.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.errors import BadRequest, NotFound
from moonraker_lite.storage import Database, Namespaces

# Where Moonraker keeps them; clients may read this namespace, not write it.
_NAMESPACE = "moonraker"
_KEY = ("announcements", "stored_feeds")
_ALWAYS = ("moonraker", "klipper")
MAX_FEEDS = 100


class AnnouncementsSettings(msgspec.Struct, frozen=True):
    """`[announcements]`. `dev_mode` and `enable_moonlight` are Moonraker's, without effect here."""

    subscriptions: tuple[str, ...] = ()
    dev_mode: bool = False
    enable_moonlight: bool = True


class ListParams(msgspec.Struct, frozen=True):
    include_dismissed: bool = True


class DismissParams(msgspec.Struct, frozen=True):
    """`wake_time` is in seconds; without it the entry stays dismissed."""

    entry_id: str
    wake_time: int | None = None


class FeedParams(msgspec.Struct, frozen=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class EntryList(msgspec.Struct, frozen=True):
    """`entries` would be objects with entry_id, url, title and so on; there are none."""

    entries: list[dict[str, Any]]
    feeds: list[str]


class FeedList(msgspec.Struct, frozen=True):
    feeds: list[str]


class UpdateAnswer(msgspec.Struct, frozen=True):
    entries: list[dict[str, Any]]
    modified: bool


class FeedAnswer(msgspec.Struct, frozen=True):
    """`action` is added, removed or skipped."""

    feed: str
    action: str


class Announcements(Component, section="announcements"):
    """Keeps the list of feeds: two always, more from the configuration and through the API."""

    def __init__(self, settings: AnnouncementsSettings, database: Database) -> None:
        self._store = Namespaces(database)
        self._configured = list(dict.fromkeys((*_ALWAYS, *settings.subscriptions)))
        self._stored: list[str] = []
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Load the feeds that were added through the API."""
        try:
            found = await self._store.get(_NAMESPACE, _KEY)
        except NotFound:
            return
        if isinstance(found, list):
            self._stored = [name for name in found if isinstance(name, str) and name not in self._configured]

    @property
    def feeds(self) -> list[str]:
        """The names of all feeds, configured ones first."""
        return [*self._configured, *self._stored]

    @endpoint("GET", "/server/announcements/list", rpc="server.announcements.list")
    def list_entries(self, request: Request, params: ListParams) -> EntryList:
        """The entries and feeds."""
        return EntryList([], self.feeds)

    @endpoint("GET", "/server/announcements/feeds", rpc="server.announcements.feeds")
    def list_feeds(self, request: Request) -> FeedList:
        """The feeds."""
        return FeedList(self.feeds)

    @endpoint("POST", "/server/announcements/update", rpc="server.announcements.update")
    def update(self, request: Request) -> UpdateAnswer:
        """Look for new entries."""
        return UpdateAnswer([], modified=False)

    @endpoint("POST", "/server/announcements/dismiss", rpc="server.announcements.dismiss")
    def dismiss(self, request: Request, params: DismissParams) -> None:
        """Mark an entry as read."""
        raise BadRequest(f"No key matching entry id: {params.entry_id}")

    @endpoint("POST", "/server/announcements/feed", rpc="server.announcements.post_feed")
    async def add_feed(self, request: Request, params: FeedParams) -> FeedAnswer:
        """Subscribe to a feed."""
        async with self._changing:
            if params.name in self.feeds:
                return FeedAnswer(params.name, "skipped")
            if len(self._stored) >= MAX_FEEDS:
                raise BadRequest(f"There are {MAX_FEEDS} feeds already; remove one first")
            await self._keep([*self._stored, params.name])
        return FeedAnswer(params.name, "added")

    @endpoint("DELETE", "/server/announcements/feed", rpc="server.announcements.delete_feed")
    async def remove_feed(self, request: Request, params: FeedParams) -> FeedAnswer:
        """Give up a feed that was added through the API."""
        async with self._changing:
            if params.name not in self._stored:
                raise BadRequest(f"Feed '{params.name}' not stored")
            await self._keep([name for name in self._stored if name != params.name])
        return FeedAnswer(params.name, "removed")

    async def _keep(self, feeds: list[str]) -> None:
        """The memory follows the disk, so that a failed write changes nothing."""
        await self._store.insert(_NAMESPACE, _KEY, feeds)
        self._stored = feeds
