"""The connection to the printer back end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moonraker_lite import __version__
from moonraker_lite.errors import BadRequest, HostError, PayloadTooLarge, Unavailable
from moonraker_lite.klippy.framing import FrameDecoder, Reply, encode
from moonraker_lite.klippy.listener import KlippyListener, Objects, RemoteMethod, Status
from moonraker_lite.klippy.pending import PendingRequests
from moonraker_lite.klippy.remote import RemoteMethods
from moonraker_lite.klippy.state import KlippyInfo, KlippyState, parse_info, parse_state
from moonraker_lite.tasks import TaskOwner

RETRY_MIN = 0.25  # s until the first new attempt to connect; doubles up to RETRY_MAX
RETRY_MAX = 2.0
STARTUP_POLL = 0.25  # s between two questions whether the printer has finished starting
SETUP_TIMEOUT = 30.0  # s for one answer of the set-up; Klipper may be busy with its microcontrollers that long
READ_CHUNK = 256 * 1024
MAX_UNSENT = 4 * 1024 * 1024  # bytes that may wait for a back end that does not read
MAX_REQUEST = 4 * 1024 * 1024  # bytes; a back end that has a limit hangs up beyond it, and all clients lose the printer

NOT_CONNECTED = "Klippy Host not connected"
LOST = "Klippy Disconnected"
STARTING = "Klippy is starting; subscribe again when it is ready"
REQUIRED_OBJECTS = ("virtual_sdcard", "display_status", "pause_resume")

STATUS_UPDATE = "process_status_update"  # our names in the response templates: Klipper sends them back with each event
GCODE_RESPONSE = "process_gcode_response"

_LOGGER = logging.getLogger(__name__)


class KlippyClient:
    """One connection to Klipper's API socket, renewed for ever.

    States: DISCONNECTED -> STARTUP (connected and identified) -> READY, ERROR or SHUTDOWN (set up) -> DISCONNECTED.
    Only `_transition` changes the state.
    """

    def __init__(self, socket_path: Path, *, listener: KlippyListener) -> None:
        self.socket_path = socket_path
        self.state = KlippyState.DISCONNECTED
        self.state_message = LOST
        self.info: KlippyInfo | None = None
        self.endpoints: frozenset[str] = frozenset()
        self.objects: frozenset[str] = frozenset()
        self._listener = listener
        self._pending = PendingRequests()
        self._remote = RemoteMethods()
        self._reported = (KlippyState.STARTUP, "")  # what the back end last said; becomes `state` once we are set up
        self._writer: asyncio.StreamWriter | None = None
        self._tasks = TaskOwner("klippy")
        self._complained = ""

    @property
    def connected(self) -> bool:
        """True while requests can be sent."""
        return self.state is not KlippyState.DISCONNECTED

    @property
    def missing_requirements(self) -> list[str]:
        """Objects that clients rely on and that this printer's configuration lacks."""
        return [name for name in REQUIRED_OBJECTS if name not in self.objects] if self.objects else []

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""
        if not self._tasks:
            self._tasks.spawn(self._run(), "connection")

    async def close(self) -> None:
        """Close the connection, fail what is pending, and end the background tasks."""
        await self._tasks.close()
        await self._remote.close()

    async def request(self, method: str, params: dict[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """Ask `method` and return its result.

        Raises KlippyError for an error answer, Unavailable when there is no connection, it is lost meanwhile, or no
        answer came within `timeout` seconds, and TooManyRequests when too many wait already.
        """
        if not self.connected:
            raise Unavailable(NOT_CONNECTED)
        script = (params or {}).get("script")
        if method == "gcode/script" and isinstance(script, str) and script:
            self._notify(self._listener.on_gcode_command, script)
        return await self._call(method, params, timeout=timeout)

    async def gcode(self, script: str) -> str:
        """Run G-code (several lines allowed) and wait for its end. Returns "ok". Raises as `request`."""
        await self.request("gcode/script", {"script": script})
        return "ok"

    async def subscribe(self, objects: Objects, on_answer: Callable[[Status, float], None]) -> None:
        """Replace the one status subscription of this connection; for StatusHub.

        `on_answer(status, eventtime)` takes the full status in order with the updates: before any later one.
        Raises as `request`, and Unavailable while the printer starts: asking its half-made objects can break Klipper.
        """
        if self.state is KlippyState.DISCONNECTED:
            raise Unavailable(NOT_CONNECTED)
        if self.state is KlippyState.STARTUP:
            raise Unavailable(STARTING)
        await self._subscribe(objects, on_answer)

    def register_remote_method(self, name: str, handler: RemoteMethod) -> None:
        """Let Klipper macros call `handler(**params)`; announced now and after every reconnect. ValueError if taken."""
        self._remote.register(name, handler)
        if self.state not in (KlippyState.DISCONNECTED, KlippyState.STARTUP):
            with contextlib.suppress(Unavailable):
                self._send("register_remote_method", _remote_params(name), None)  # without id: nobody needs the answer

    # -- the connection --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        delay = RETRY_MIN
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self.socket_path), limit=READ_CHUNK)
            except OSError as exc:
                if delay >= RETRY_MAX:  # before that it may just be starting
                    self._complain(f"No printer at {self.socket_path}: {exc.strerror or exc}")
            else:
                if await self._session(reader, writer):
                    delay = RETRY_MIN
                    self._complained = ""
            await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_MAX)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One connection from its first to its last byte. True if it came as far as being set up."""
        self._writer = writer
        setup = self._tasks.spawn(self._set_up_or_hang_up(writer), "set-up")
        try:
            await self._read(reader)
            return self.state not in (KlippyState.DISCONNECTED, KlippyState.STARTUP)
        finally:
            self._writer = None
            writer.close()
            setup.cancel()
            self._transition(KlippyState.DISCONNECTED, LOST)
            self._pending.fail_all(LOST)
            await asyncio.wait({setup})

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = FrameDecoder()
        dropped = 0
        while True:
            try:
                data = await reader.read(READ_CHUNK)
            except OSError as exc:
                _LOGGER.info("Connection to the printer broke: %s", exc)
                return
            if not data:
                return
            for reply in decoder.feed(data):
                self._dispatch(reply)
            if decoder.dropped > dropped:
                dropped = decoder.dropped
                _LOGGER.warning("The printer sent a message that is no message (%d so far)", dropped)

    def _dispatch(self, reply: Reply) -> None:
        params = reply.params if isinstance(reply.params, dict) else {}
        if reply.method is None:
            self._pending.resolve(reply)
        elif reply.method == STATUS_UPDATE:
            self._take_status(params)
        elif reply.method == GCODE_RESPONSE:
            self._notify(self._listener.on_gcode_response, str(params.get("response", "")))
        else:
            self._remote.call(reply.method, params)

    def _take_status(self, params: dict[str, Any]) -> None:
        status, eventtime = _status_of(params)
        self._take_webhooks(status)
        if status:
            self._notify(self._listener.on_status, status, eventtime)

    def _take_webhooks(self, status: Status) -> None:
        """A shutdown or a fault is announced as a change of the object `webhooks`."""
        webhooks = status.get("webhooks")
        if not webhooks:
            return
        state, message = self._reported
        if "state" in webhooks:
            state = parse_state(webhooks["state"])
        self._reported = (state, str(webhooks.get("state_message", message)))
        if self.state not in (KlippyState.DISCONNECTED, KlippyState.STARTUP):
            self._transition(*self._reported)

    def _transition(self, state: KlippyState, message: str) -> None:
        changed = state is not self.state
        self.state, self.state_message = state, message
        if changed:
            _LOGGER.info("Printer: %s", state.text)
            self._notify(self._listener.on_state, state, message)

    # -- setting up ------------------------------------------------------------------------------------------------

    async def _set_up_or_hang_up(self, writer: asyncio.StreamWriter) -> None:
        try:
            await self._set_up()
        except HostError as exc:
            self._complain(f"Cannot set up the connection to the printer: {exc.message}")
            writer.close()

    async def _set_up(self) -> None:
        """The order is Moonraker's: identify, wait for the end of the start, listen, announce our methods."""
        await self._ask_info({"client_info": {"program": "moonraker_lite", "version": __version__}})
        self._transition(KlippyState.STARTUP, self._reported[1])
        await self._ask_endpoints()
        while self._reported[0] is KlippyState.STARTUP:
            await asyncio.sleep(STARTUP_POLL)
            await self._ask_info({})
            self.state_message = self._reported[1]
        await self._subscribe({}, lambda _status, _eventtime: None)
        await self._ask("gcode/subscribe_output", {"response_template": {"method": GCODE_RESPONSE}})
        await self._ask_endpoints()  # some are only there once the printer is ready
        listed = await self._ask("objects/list", {})
        self.objects = frozenset(_strings(listed, "objects"))
        for name in self._remote.names:
            await self._ask("register_remote_method", _remote_params(name))
        self._transition(*self._reported)

    async def _ask_info(self, params: dict[str, Any]) -> None:
        self.info = parse_info(await self._ask("info", params))
        self._reported = (parse_state(self.info.state), self.info.state_message)

    async def _ask_endpoints(self) -> None:
        self.endpoints = frozenset(_strings(await self._ask("list_endpoints", {}), "endpoints"))

    async def _subscribe(self, objects: Objects, on_answer: Callable[[Status, float], None]) -> None:
        def take(result: Any) -> None:
            status, eventtime = _status_of(result if isinstance(result, dict) else {})
            self._take_webhooks(status)
            on_answer(status, eventtime)

        wanted = {"webhooks": None} | {name: None if keys is None else list(keys) for name, keys in objects.items()}
        params = {"objects": wanted, "response_template": {"method": STATUS_UPDATE}}
        await self._call("objects/subscribe", params, timeout=SETUP_TIMEOUT, on_result=take)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        return await self._call(method, params, timeout=SETUP_TIMEOUT)

    # -- requests --------------------------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        params: dict[str, Any] | None,
        *,
        timeout: float | None,
        on_result: Callable[[Any], None] | None = None,
    ) -> Any:
        request_id, future = self._pending.open(on_result)
        try:
            self._send(method, params, request_id)
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise Unavailable(f"The printer did not answer {method} within {timeout:g} seconds") from None
        finally:
            self._pending.forget(request_id)

    def _send(self, method: str, params: dict[str, Any] | None, request_id: int | None) -> None:
        if self._writer is None or self._writer.is_closing():
            raise Unavailable(NOT_CONNECTED)
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            raise Unavailable("The printer does not take requests now; try again later")
        try:
            frame = encode(method, params, request_id)
        except (TypeError, ValueError, OverflowError) as exc:
            raise BadRequest(f"These parameters cannot be sent to the printer: {exc}") from None
        if len(frame) > MAX_REQUEST:
            raise PayloadTooLarge(f"The request is too long for the printer: {MAX_REQUEST} bytes are taken")
        self._writer.write(frame)

    def _notify(self, callback: Callable[..., None], *args: Any) -> None:
        """The boundary to the rest of the host: a fault there must not cost us the connection."""
        try:
            callback(*args)
        except Exception:
            _LOGGER.exception("Fault while handling an event of the printer")

    def _complain(self, message: str) -> None:
        """Warn once of each trouble, not every two seconds."""
        level = logging.DEBUG if message == self._complained else logging.WARNING
        self._complained = message
        _LOGGER.log(level, "%s", message)


def _status_of(params: dict[str, Any]) -> tuple[Status, float]:
    status = params.get("status")
    eventtime = params.get("eventtime")
    clean = {k: v for k, v in status.items() if isinstance(v, dict)} if isinstance(status, dict) else {}
    return clean, float(eventtime) if isinstance(eventtime, int | float) else 0.0


def _remote_params(name: str) -> dict[str, Any]:
    return {"response_template": {"method": name}, "remote_method": name}


def _strings(result: Any, key: str) -> list[str]:
    items = result.get(key) if isinstance(result, dict) else None
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
