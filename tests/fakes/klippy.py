"""A faithful fake of Klipper's API socket, made from recordings of a real one.

Usable in a test (`async with FakeKlippy(socket, gcodes) as fake:`) and alone:

    python tests/fakes/klippy.py --socket PATH --gcodes DIR [--speed 1]

It answers what Klipper v0.13 answered: requests and errors word for word, status on a grid of 0.25 s, output lines
before the answer of their script, one script at a time, RESTART by closing the socket and coming back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes.klippy_gcode import GCode
from tests.fakes.klippy_printer import CONFIG_ERROR, SHUTDOWN, CommandError, Printer

SEPARATOR = b"\x03"
GRID = 0.25  # s between two looks at the status
STARTUP_TIME = 0.5  # s in state "startup"
RESTART_TIME = 1.25  # s without a socket
QUERY_ENDSTOPS_TIME = 0.25
SHUTDOWN_BY_REQUEST = "Shutdown due to webhooks request"
ONLY_WHEN_READY = {"motion_report/dump_trapq"}

Params = dict[str, Any]
Endpoint = Callable[["Connection", Params], Any]


class Connection:
    """One client."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.tasks: set[asyncio.Task[None]] = set()
        self.subscription: dict[str, list[str] | None] = {}
        self.template: Params = {}
        self.output_template: Params | None = None

    def pause(self) -> None:
        """Read nothing more, as a program that hangs."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def send(self, message: dict[str, Any]) -> None:
        if not self.writer.is_closing():
            self.writer.write(json.dumps(message, separators=(",", ":")).encode() + SEPARATOR)


class FakeKlippy:
    """The server. `speed` divides durations of the printer, `grid` is the time between two status updates.

    For tests: `requests` holds what came in, `printer` the state, and `shutdown`, `disconnect`, `output`, `send_raw`,
    `call_remote` and `set_status` make things happen. `config_error` makes the next start end in state "error".
    `klipper` is where it says that it is installed.
    """

    def __init__(
        self, socket: Path, gcodes: Path, *, speed: float = 1.0, grid: float = GRID, klipper: Path | None = None
    ) -> None:
        self.socket = socket
        self.gcodes = gcodes
        self.klipper = klipper
        self.speed = speed
        self.grid = grid
        self.config_error = ""
        self.requests: list[tuple[str, Params]] = []
        self.connections: list[Connection] = []
        self.remote_methods: dict[str, tuple[Connection, Params]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._grid_task: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._queries: list[tuple[dict[str, list[str] | None], asyncio.Future[Params]]] = []
        self._last: dict[str, Params] = {}
        self._endpoints = self._table()
        self._new_printer()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and become ready after a moment."""
        self.socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, str(self.socket))
        self._spawn(self._become_ready(self.printer))

    async def stop(self) -> None:
        """Close everything at once, as when the process is killed."""
        await self._close_socket()
        await self.gcode.job.close()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in the next rounds of the loop

    # -- making things happen --------------------------------------------------------------------------------------

    def shutdown(self, reason: str) -> None:
        """State "shutdown", as after a fault or an emergency stop. A second time it changes nothing."""
        if self.printer.state == "shutdown":
            return
        self.printer.set_state("shutdown", SHUTDOWN.format(reason=reason))
        self.gcode.job.abort(reason)
        self.output("// Klipper state: Shutdown")

    def restart(self) -> None:
        """RESTART and FIRMWARE_RESTART."""
        if self._restarting is None or self._restarting.done():
            self._restarting = self._spawn(self._restart())

    def disconnect(self) -> None:
        """Cut all connections; new ones are taken."""
        for connection in tuple(self.connections):
            connection.writer.close()

    def output(self, text: str) -> None:
        for connection in self.connections:
            if connection.output_template is not None:
                connection.send({**connection.output_template, "params": {"response": text}})

    def send_raw(self, data: bytes) -> None:
        for connection in self.connections:
            connection.writer.write(data)

    def call_remote(self, name: str, **params: Any) -> None:
        connection, template = self.remote_methods[name]
        connection.send({**template, "params": params})

    def set_status(self, name: str, **values: Any) -> None:
        self.printer.status.setdefault(name, {}).update(values)

    async def until(self, state: str) -> None:
        """Wait for a state of the printer."""
        while self.printer.state != state:
            await asyncio.sleep(0.005)

    # -- the life of the printer -----------------------------------------------------------------------------------

    def _new_printer(self) -> None:
        self.printer = Printer(self.gcodes.parent, self.speed)
        if self.klipper is not None:
            self.printer.info["klipper_path"] = str(self.klipper)
        self.gcode = GCode(self.printer, self.gcodes, self.output, self.restart, lambda reason: self.shutdown(reason))

    async def _become_ready(self, printer: Printer) -> None:
        await printer.sleep(STARTUP_TIME)
        if printer.state == "startup":
            fault = self.config_error or self._fault_in_config()
            if fault:
                printer.set_state("error", CONFIG_ERROR.format(reason=fault))
            else:
                printer.set_state("ready", "Printer is ready")

    def _fault_in_config(self) -> str:
        """A section that the recorded printer did not have counts as unknown."""
        config = self.gcodes.parent / "config" / "printer.cfg"
        known = {name.split()[0] for name in self.printer.status["configfile"]["config"]}
        with contextlib.suppress(OSError):
            for section in re.findall(r"^\[([^]]+)\]", config.read_text(errors="replace"), re.MULTILINE):
                if section.split()[0] not in known | {"include"}:
                    return f"Section '{section}' is not a valid config section"
        return ""

    async def _restart(self) -> None:
        old = self.printer
        await asyncio.sleep(0.03)
        self.output("// Klipper state: Disconnect")
        await self._close_socket()
        await self.gcode.job.close()
        await old.sleep(RESTART_TIME)
        self._new_printer()
        await self.start()

    async def _close_socket(self) -> None:
        if self._server is not None:
            await asyncio.sleep(0.005)  # asyncio fails over a server that closes while it is taking a connection
            self._server.close()
        self.socket.unlink(missing_ok=True)
        for connection in tuple(self.connections):
            await self._drop(connection)
        if self._grid_task is not None:
            self._grid_task.cancel()
            await asyncio.gather(self._grid_task, return_exceptions=True)
            self._grid_task = None
        self._queries.clear()
        self.remote_methods.clear()
        self._last = {}

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- connections -----------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None or not self._server.is_serving():  # taken by the kernel before we closed
            writer.close()
            return
        connection = Connection(writer)
        self.connections.append(connection)
        self._spawn(self._serve(connection, reader))

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                *frames, buffer = (buffer + data).split(SEPARATOR)
                for frame in frames:
                    self._take(connection, frame)
        await self._drop(connection)

    async def _drop(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
        if not connection.writer.is_closing():
            connection.writer.close()
        current = asyncio.current_task()
        for task in connection.tasks - ({current} if current else set()):
            task.cancel()

    def _take(self, connection: Connection, frame: bytes) -> None:
        """Malformed requests are dropped without a word."""
        try:
            message = json.loads(frame)
        except ValueError:
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return
        params = message.get("params", {})
        if not isinstance(params, dict):
            return
        self.requests.append((message["method"], params))
        task = self._spawn(self._answer(connection, message["method"], params, message.get("id")))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)

    async def _answer(self, connection: Connection, method: str, params: Params, request_id: Any) -> None:
        try:
            endpoint = self._endpoints.get(method)
            if endpoint is None:
                raise CommandError(f"webhooks: No registered callback for path '{method}'")
            result = endpoint(connection, params)
            if isinstance(result, Awaitable):
                result = await result
        except CommandError as exc:
            outcome = {"error": {"error": "WebRequestError", "message": str(exc)}}
        else:
            outcome = {"result": {} if result is None else result}
        if request_id is not None:
            connection.send({"id": request_id, **outcome})

    # -- endpoints -------------------------------------------------------------------------------------------------

    def _table(self) -> dict[str, Endpoint]:
        return {
            "list_endpoints": lambda c, p: {"endpoints": self._listed()},
            "info": lambda c, p: {**self.printer.info, **self._state()},
            "emergency_stop": lambda c, p: self.shutdown(SHUTDOWN_BY_REQUEST),
            "register_remote_method": self._register_remote,
            "gcode/help": lambda c, p: self.printer.help,
            "gcode/script": lambda c, p: self._script(_argument(p, "script", str)),
            "gcode/restart": lambda c, p: self._script("RESTART"),
            "gcode/firmware_restart": lambda c, p: self._script("FIRMWARE_RESTART"),
            "gcode/subscribe_output": self._subscribe_output,
            "objects/list": lambda c, p: {"objects": list(self.printer.status)},
            "objects/query": lambda c, p: self._query(_objects(p)),
            "objects/subscribe": self._subscribe,
            "pause_resume/cancel": lambda c, p: self._script("CANCEL_PRINT"),
            "pause_resume/pause": lambda c, p: self._script("PAUSE"),
            "pause_resume/resume": lambda c, p: self._script("RESUME"),
            "bed_mesh/dump_mesh": lambda c, p: self.printer.mesh,
            "query_endstops/status": lambda c, p: self._endstops(),
            "motion_report/dump_stepper": lambda c, p: {"header": ["interval", "count", "add"]},
            "motion_report/dump_trapq": lambda c, p: {
                "header": ["time", "duration", "start_velocity", "acceleration", "start_position", "direction"]
            },
        }

    def _listed(self) -> list[str]:
        hidden = ONLY_WHEN_READY if self.printer.state == "startup" else set()
        return [name for name in self.printer.endpoints if name not in hidden]

    def _state(self) -> Params:
        return {"state": self.printer.state, "state_message": self.printer.state_message}

    async def _script(self, script: str) -> None:
        await self.gcode.run_script(script)

    async def _endstops(self) -> Params:
        await self.printer.sleep(QUERY_ENDSTOPS_TIME)
        return dict.fromkeys(("stepper_x", "stepper_y", "stepper_z"), "open")

    def _register_remote(self, connection: Connection, params: Params) -> None:
        template = _argument(params, "response_template", dict)
        self.remote_methods[_argument(params, "remote_method", str)] = (connection, template)

    def _subscribe_output(self, connection: Connection, params: Params) -> None:
        connection.output_template = params.get("response_template", {})

    # -- status ----------------------------------------------------------------------------------------------------

    async def _subscribe(self, connection: Connection, params: Params) -> Params:
        objects = _objects(params)
        connection.subscription = {}
        answer = await self._query(objects)
        connection.subscription = objects
        connection.template = params.get("response_template", {})
        return answer

    async def _query(self, objects: dict[str, list[str] | None]) -> Params:
        future: asyncio.Future[Params] = asyncio.get_running_loop().create_future()
        self._queries.append((objects, future))
        if self._grid_task is None or self._grid_task.done():
            self._grid_task = self._spawn(self._run_grid())
        return await future

    async def _run_grid(self) -> None:
        """Look at once, then every 0.25 s, as long as somebody wants to know."""
        while self._queries or any(connection.subscription for connection in self.connections):
            self._look()
            await asyncio.sleep(self.grid)

    def _look(self) -> None:
        self.printer.refresh(self.gcode.job.active)
        self.gcode.job.refresh()
        eventtime = self.printer.clock()
        last, self._last = self._last, {}
        queries, self._queries = self._queries, []
        for objects, future in queries:
            if not future.done():
                future.set_result({"eventtime": eventtime, "status": self._pick(objects, None)})
        for connection in self.connections:
            if connection.subscription and (status := self._pick(connection.subscription, last)):
                connection.send({**connection.template, "params": {"eventtime": eventtime, "status": status}})

    def _pick(self, objects: dict[str, list[str] | None], last: dict[str, Params] | None) -> Params:
        """The wanted fields: all for a query (`last` is None), else those that are different from the last look."""
        status: Params = {}
        for name, fields in objects.items():
            if name not in self._last:
                self._last[name] = self.printer.snapshot(name) or {}
            now = self._last[name]
            wanted = {field: now.get(field) for field in (now if fields is None else fields)}
            if last is not None:
                before = last.get(name, {})
                wanted = {key: value for key, value in wanted.items() if before.get(key) != value}
            if wanted or last is None:
                status[name] = wanted
        return status


def _argument(params: Params, name: str, kind: type) -> Any:
    if name not in params:
        raise CommandError(f"Missing Argument [{name}]")
    if not isinstance(params[name], kind):
        raise CommandError(f"Invalid Argument Type [{name}]")
    return params[name]


def _objects(params: Params) -> dict[str, list[str] | None]:
    objects: dict[str, list[str] | None] = _argument(params, "objects", dict)
    for fields in objects.values():
        if fields is not None and not (isinstance(fields, list) and all(isinstance(f, str) for f in fields)):
            raise CommandError("Invalid argument")
    return objects


async def _main() -> None:
    parser = argparse.ArgumentParser(description="a fake Klipper")
    parser.add_argument("--socket", type=Path, required=True, help="path of the API socket")
    parser.add_argument("--gcodes", type=Path, required=True, help="folder with the files to print")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every duration")
    parser.add_argument("--klipper", type=Path, help="where it says that it is installed")
    args = parser.parse_args()
    args.socket.parent.mkdir(parents=True, exist_ok=True)
    args.gcodes.mkdir(parents=True, exist_ok=True)
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with FakeKlippy(args.socket.resolve(), args.gcodes.resolve(), speed=args.speed, klipper=args.klipper):
        await end.wait()


if __name__ == "__main__":
    asyncio.run(_main())
