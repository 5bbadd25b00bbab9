"""Lasting client connections: who is connected, and what is waiting to be sent to each."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from moonraker_lite.api.request import User

# A client that does not read is cut off at this backlog (bytes of encoded messages).
MAX_BACKLOG = 4 * 1024 * 1024
CLIENT_TYPES = ("web", "mobile", "desktop", "display", "bot", "agent", "other")


class ClientInfo(msgspec.Struct, frozen=True):
    """What a client said of itself in server.connection.identify."""

    name: str
    version: str
    type: str
    url: str


class Outbox:
    """Encoded messages that wait for a connection to take them, bounded in bytes.

    Messages keep their order. One with a `key` replaces a waiting one with the same key, in that one's place: of a
    value that is only interesting when new (process statistics), a slow client gets the last.
    """

    def __init__(self, limit: int = MAX_BACKLOG) -> None:
        self._limit = limit
        self._waiting: deque[tuple[str | None, bytes]] = deque()
        self.size = 0

    def put(self, message: bytes, key: str | None = None) -> bool:
        """Append a message. Returns False when the bound is exceeded: the connection is to be cut."""
        if key is not None:
            for position, (other, old) in enumerate(self._waiting):
                if other == key:
                    self._waiting[position] = (key, message)
                    self.size += len(message) - len(old)
                    return self.size <= self._limit
        self._waiting.append((key, message))
        self.size += len(message)
        return self.size <= self._limit

    def take(self) -> list[bytes]:
        """Remove and return all that waits."""
        messages = [message for _, message in self._waiting]
        self._waiting.clear()
        self.size = 0
        return messages

    def __bool__(self) -> bool:
        return bool(self._waiting)


class ClientConnection:
    """Base of the transports' connections. `user` is None while nobody has authenticated."""

    _ids = itertools.count(1)

    def __init__(self, remote_ip: str, user: User | None) -> None:
        self.id = next(self._ids)
        self.remote_ip = remote_ip
        self.user = user
        self.client: ClientInfo | None = None
        self._on_closed: list[Callable[[], None]] = []

    def send(self, message: bytes, key: str | None = None) -> None:
        """Queue one encoded message; see `Outbox.put` for `key`. Never blocks."""
        raise NotImplementedError

    def close(self, reason: str) -> None:
        """Close the connection, telling the client why where the transport can."""
        raise NotImplementedError

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the connection has ended."""
        self._on_closed.append(callback)

    def ended(self) -> None:
        """Run the callbacks; the transport calls this exactly once."""
        callbacks, self._on_closed = self._on_closed, []
        for callback in callbacks:
            callback()


class Connections:
    """The live connections of all transports, by id."""

    def __init__(self) -> None:
        self._live: dict[int, ClientConnection] = {}

    def add(self, connection: ClientConnection) -> None:
        """Register a connection; it leaves by itself when it ends."""
        self._live[connection.id] = connection

        def leave() -> None:
            self._live.pop(connection.id, None)

        connection.on_closed(leave)

    def get(self, connection_id: int) -> ClientConnection | None:
        """The live connection with this id."""
        return self._live.get(connection_id)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[ClientConnection]:
        return iter(tuple(self._live.values()))

    def broadcast(self, message: bytes, key: str | None = None) -> None:
        """Send one encoded message to everybody who is authorised."""
        for connection in tuple(self._live.values()):
            if connection.user is not None:
                connection.send(message, key)
