"""The endpoints of the API socket: what klippy offers, answered for a Marlin printer."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite import __version__
from moonraker_lite.errors import HostError
from moonraker_lite.marlin.printer import Printer
from moonraker_lite.marlin.requests import Params, RequestError, object_fields
from moonraker_lite.marlin.server import DEFERRED, Client, Reply
from moonraker_lite.marlin.subscriptions import StatusFeed, Subscription

# Frontends compare it with the Klipper they need at least (v0.12): the part before the dash must look like one.
SOFTWARE_VERSION = f"v0.13.0-moonraker_lite-marlin-{__version__}"

_LOGGER = logging.getLogger(__name__)

# So long, in seconds, the answer to a pause, a resume or a cancel waits for what comes of it. What fails later is told
# on the console.
ANSWER_WITHIN = 0.5

Endpoint = Callable[[Client, Params, Reply], object]


class Endpoints:
    """`handle` is what the server calls with each request."""

    def __init__(self, printer: Printer, *, log_file: Path | None, config_file: Path | None) -> None:
        self._printer = printer
        self._feed = StatusFeed(self._snapshot, printer.machine.clock)
        # Pauses and the like that have been answered and are not granted yet.
        self._wishes: set[asyncio.Task[dict[str, Any]]] = set()
        self._remote_methods: dict[str, tuple[Client, dict[str, Any]]] = {}
        printer.actions.remote = self._call_remote
        self._about = {
            "hostname": socket.gethostname(),
            "klipper_path": str(Path(__file__).resolve().parents[2]),
            "python_path": sys.executable,
            "process_id": os.getpid(),
            "user_id": os.getuid(),
            "group_id": os.getgid(),
            "log_file": str(log_file or ""),
            "config_file": str(config_file or ""),
            "software_version": SOFTWARE_VERSION,
            "cpu_info": _cpu_info(),
        }
        self._table: dict[str, Endpoint] = {
            "list_endpoints": self._list_endpoints,
            "info": self._info,
            "emergency_stop": self._emergency_stop,
            "register_remote_method": self._register_remote_method,
            "gcode/help": lambda *_: self._printer.objects.help(),
            "gcode/script": lambda _client, params, _reply: self._run(params.text("script")),
            "gcode/restart": lambda *_: self._run("RESTART"),
            "gcode/firmware_restart": lambda *_: self._run("FIRMWARE_RESTART"),
            "gcode/subscribe_output": self._subscribe_output,
            "objects/list": lambda *_: {"objects": self._printer.objects.names()},
            "objects/query": self._query,
            "objects/subscribe": self._subscribe,
            "pause_resume/cancel": lambda *_: self._wish("CANCEL_PRINT"),
            "pause_resume/pause": lambda *_: self._wish("PAUSE"),
            "pause_resume/resume": lambda *_: self._wish("RESUME"),
            "bed_mesh/dump_mesh": lambda *_: self._printer.machine.mesh.dump(),
            "query_endstops/status": lambda *_: self._endstops(),
            "sdcard/list": lambda *_: self._list_card(),
            "sdcard/delete": lambda _client, params, _reply: self._delete_from_card(params.text("name")),
            "sdcard/upload": lambda _client, params, _reply: self._upload_to_card(
                params.text("path"), params.text("name")
            ),
        }

    def handle(self, client: Client, method: str, params: Params, reply: Reply) -> object:
        endpoint = self._table.get(method)
        if endpoint is None:
            raise RequestError(f"webhooks: No registered callback for path '{method}'")
        return endpoint(client, params, reply)

    def client_left(self, client: Client) -> None:
        self._feed.drop(client)
        for name, (owner, _) in tuple(self._remote_methods.items()):
            if owner is client:
                del self._remote_methods[name]

    def close(self) -> None:
        for work in self._wishes:
            work.cancel()
        self._feed.close()

    def _snapshot(self, name: str, now: float) -> dict[str, Any] | None:
        if name == "idle_timeout":
            self._printer.update_activity()
        return self._printer.objects.snapshot(name, now)

    def _list_endpoints(self, *_: object) -> dict[str, list[str]]:
        return {"endpoints": list(self._table)}

    def _info(self, *_: object) -> dict[str, Any]:
        state, message = self._printer.status.state.value, self._printer.status.message
        return {"state": state, "state_message": message, **self._about}

    async def _run(self, script: str) -> dict[str, Any]:
        await self._printer.interpreter.run_script(script)
        return {}

    async def _list_card(self) -> dict[str, Any]:
        """The printer's own SD card: `{"files": [{"path", "name", "size", "time"}, ...]}`."""
        return {"files": await self._printer.card.refresh()}

    async def _delete_from_card(self, name: str) -> dict[str, Any]:
        await self._printer.card.delete(name)
        return {"files": self._printer.card.files}

    async def _upload_to_card(self, path: str, name: str) -> dict[str, Any]:
        """`path`: a file of the gcodes folder, or of the one beside it in which the host shows the card."""
        folder = self._printer.options.gcodes
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(os.path.realpath(place)) for place in (folder, folder.parent / "sdcard")):
            raise RequestError(f"{path} is not in the folder of the files to print")
        try:
            file = await self._printer.card.upload(real, name)
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}") from None
        return {"file": file, "files": self._printer.card.files}

    async def _wish(self, script: str) -> dict[str, Any]:
        """Answer at once, even if a printer takes its time to come to a stand, or to heat up again."""
        work = asyncio.create_task(self._run(script), name=script)
        self._wishes.add(work)
        work.add_done_callback(self._granted)
        done, _ = await asyncio.wait([work], timeout=ANSWER_WITHIN)
        return work.result() if done else {}

    def _granted(self, work: asyncio.Task[dict[str, Any]]) -> None:
        self._wishes.discard(work)
        if not work.cancelled() and (error := work.exception()) and not isinstance(error, HostError):
            _LOGGER.error("%s failed", work.get_name(), exc_info=error)

    async def _endstops(self) -> dict[str, str]:
        async with self._printer.turn.script():
            return await self._printer.endstops()

    def _emergency_stop(self, *_: object) -> dict[str, Any]:
        self._printer.emergency_stop("Shutdown due to webhooks request")
        return {}

    def _register_remote_method(self, client: Client, params: Params, _: Reply) -> dict[str, Any]:
        template = params.mapping("response_template")
        self._remote_methods[params.text("remote_method")] = (client, template)
        return {}

    def _call_remote(self, method: str, params: dict[str, Any]) -> bool:
        """A macro calls a method that a client has registered; return whether there is one."""
        if method not in self._remote_methods:
            return False
        client, template = self._remote_methods[method]
        client.send(msgspec.json.encode({"params": params, **template}))
        return True

    def _subscribe_output(self, client: Client, params: Params, _: Reply) -> dict[str, Any]:
        client.subscribe_output(params.mapping("response_template", {}))
        for line in self._printer.interrupted.offer():
            client.send_output(msgspec.json.encode(line))
        return {}

    def _query(self, client: Client, params: Params, reply: Reply) -> object:
        self._feed.query(client, object_fields(params), reply.encoded_result)
        return DEFERRED

    def _subscribe(self, client: Client, params: Params, reply: Reply) -> object:
        fields = object_fields(params)
        template = params.mapping("response_template", {})
        self._feed.subscribe(client, Subscription(fields, template, client.send), reply.encoded_result)
        return DEFERRED


def _cpu_info() -> str:
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
            model = names[0] if names else ""
    except OSError:
        pass
    return f"{os.cpu_count() or 1} core {model or os.uname().machine}"
