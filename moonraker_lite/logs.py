"""The log: a file with daily rollover, no secrets in it, and no waiting for the disk.

Whoever logs only formats the message and puts it into a bounded queue. One thread takes the lines out, hides secrets,
makes control characters visible and writes them. When the disk (or the terminal) cannot keep up, lines are dropped and
counted, and the count is logged: the event loop never waits.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TextIO

from moonraker_lite.logfile import RolloverFile
from moonraker_lite.redaction import HIDDEN, redact

QUEUE_LINES = 10_000
MAX_LINE = 32 * 1024
MIN_HIDDEN_VALUE = 8
CLOSE_TIMEOUT = 5.0

_CONTROL = {c: f"\\x{c:02x}" for c in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))}
_DIRECTION = {c: f"\\u{c:04x}" for c in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_ESCAPES: Final = {**_CONTROL, **_DIRECTION}
_CONTINUED = "\n    "
_QUIET_LOGGERS = ("asyncio", "tornado.access", "tornado.general", "zeroconf")

_Item = tuple[int, str] | Callable[[], None]
"""A line with its level, or something to be done between the lines."""


class Logs:
    """The running log; `close()` ends it. Made by `setup_logging`."""

    def __init__(self, file: RolloverFile | None, console: TextIO | None, console_level: int, level: int) -> None:
        self._queue: queue.Queue[_Item] = queue.Queue(QUEUE_LINES)
        self._sink = _Sink(file, console, console_level)
        self._handler = _QueueingHandler(self._queue)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._ended = False
        self._closed = False
        root = logging.getLogger()
        self._former_level = root.level
        root.addHandler(self._handler)
        root.setLevel(level)
        self._thread.start()

    def set_startup_block(self, lines: Sequence[str]) -> None:
        """Write these lines now and at the top of each file that a rollover begins."""
        self._put(lambda: self._sink.block(lines))

    def hide(self, value: str) -> None:
        """Replace this very text wherever it turns up, for secrets that no name gives away (API keys, passwords)."""
        if len(value) >= MIN_HIDDEN_VALUE:
            self._sink.hidden |= {value}

    def rollover(self) -> Future[None]:
        """Begin a new file now. The future ends when that is done; `asyncio.wrap_future` makes it awaitable."""
        done: Future[None] = Future()
        if not self._put(lambda: self._sink.rollover(done)):
            done.set_exception(RuntimeError("the log is closed or cannot keep up"))
        return done

    def close(self) -> None:
        """Take the handler off the root logger, write what is queued and close the file. Waits 10 s at most."""
        if self._closed:
            return
        self._closed = True
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._former_level)
        try:
            self._queue.put(self._end, timeout=CLOSE_TIMEOUT)
        except queue.Full:
            return  # the disk or the terminal hangs; the thread is a daemon and ends with the process
        self._thread.join(CLOSE_TIMEOUT)

    def _put(self, command: Callable[[], None]) -> bool:
        if self._closed:
            return False
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            return False
        return True

    def _end(self) -> None:
        self._ended = True

    def _write(self) -> None:
        """The thread: takes what is there in one go, so that a burst costs one write."""
        while not self._ended:
            items = [self._queue.get()]
            while len(items) < 1000 and not self._queue.empty():
                items.append(self._queue.get())
            for item in items:
                if isinstance(item, tuple):
                    self._sink.line(*item)
                else:
                    item()
            dropped = self._handler.take_dropped()
            if dropped:
                self._sink.line(logging.WARNING, self._handler.text(f"{dropped} log lines were dropped"))
            self._sink.flush()
        self._sink.close()


class _QueueingHandler(logging.Handler):
    """Formats where the message is logged (its arguments may change later) and queues without waiting."""

    def __init__(self, target: queue.Queue[_Item]) -> None:
        super().__init__()
        self._queue = target
        self._dropped = 0
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except (TypeError, ValueError, KeyError):  # an error of the program; the line is worth more than the traceback
            text = self.text(f"a log message does not fit its arguments: {record.msg!r} ({record.pathname})")
        try:
            self._queue.put_nowait((record.levelno, _cut(text)))
        except queue.Full:
            self._dropped += 1

    def take_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def text(self, message: str) -> str:
        return self.format(logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} ... ({len(text)} characters)"


class _Sink:
    """Where lines end: file and console. Only the log thread calls it."""

    def __init__(self, file: RolloverFile | None, console: TextIO | None, console_level: int) -> None:
        self._file = file
        self._console = console
        self._console_level = console_level
        self._pending: list[str] = []
        self._for_console: list[str] = []
        self.hidden: frozenset[str] = frozenset()

    def line(self, level: int, text: str) -> None:
        text = self._clean(text)
        self._pending.append(text)
        if level >= self._console_level:
            self._for_console.append(text)

    def block(self, lines: Sequence[str]) -> None:
        cleaned = [self._clean(line) for line in lines]
        self._pending += cleaned
        if self._file is not None:
            self.flush()
            self._file.header = "".join(f"{line}\n" for line in cleaned)

    def rollover(self, done: Future[None]) -> None:
        self.flush()
        if self._file is not None:
            self._file.rollover()
        if done.set_running_or_notify_cancel():
            done.set_result(None)

    def flush(self) -> None:
        if self._file is not None and self._pending:
            self._file.write("".join(f"{line}\n" for line in self._pending))
        if self._console is not None and self._for_console:
            try:
                self._console.write("".join(f"{line}\n" for line in self._for_console))
                self._console.flush()
            except (OSError, ValueError):  # the terminal is gone: nowhere left to say so
                self._console = None
        self._pending.clear()
        self._for_console.clear()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()

    def _clean(self, text: str) -> str:
        """Without secrets; what comes from outside can neither begin a line of its own nor steer a terminal."""
        for value in self.hidden:
            text = text.replace(value, HIDDEN)
        return redact(text).translate(_ESCAPES).replace("\n", _CONTINUED)


def setup_logging(
    *, log_file: Path | None, verbose: bool = False, debug: bool = False, console: TextIO | None = sys.stderr
) -> Logs:
    """Log to `log_file` (None: no file) and to the console, until `close()`.

    `verbose`: level DEBUG instead of INFO. `debug`: the DEBUG lines of asyncio and Tornado as well. With a log file and
    a console that is no terminal (a service, whose output lands in the journal) the console gets warnings only.

    Raises:
        OSError: the log file cannot be opened.
    """
    level = logging.DEBUG if verbose or debug else logging.INFO
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(level if debug else logging.WARNING)
    terminal = console is not None and console.isatty()
    console_level = logging.DEBUG if log_file is None or terminal else logging.WARNING
    file = RolloverFile(log_file) if log_file is not None else None
    return Logs(file, console, console_level, level)


def startup_block(
    *,
    version: str,
    config: Mapping[str, Mapping[str, str]] | None = None,
    extra: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Lines for the top of each log file: versions, machine, Python, the configuration.

    `config` is `Config.original()`, which holds no secrets; `extra` are further rows (data path, options, warnings).
    """
    import platform  # not needed by processes that only log

    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        system = platform.system()
    rows = [
        ("moonraker_lite", version),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("System", f"{system}, {platform.release()}, {platform.machine()}"),
        ("Machine", _machine()),
        *((name, text) for name in ("tornado", "msgspec", "uvloop") if (text := _version_of(name))),
        *extra,
    ]
    width = max(len(name) for name, _ in rows)
    lines = ["-" * 70, *(f"{name:<{width}}  {text}" for name, text in rows)]
    for section, options in (config or {}).items():
        if section == "DEFAULT" and not options:
            continue
        lines.append(f"[{section}]")
        for name, value in options.items():
            head, *more = value.split("\n")
            lines += [f"{name}: {head}".rstrip(), *(f"    {line}" for line in more)]
    return [*lines, "-" * 70]


def _version_of(module: str) -> str:
    """The version of a library that is loaded anyway; asking for others would load them."""
    loaded = sys.modules.get(module)
    return str(getattr(loaded, "__version__", None) or getattr(loaded, "version", "")) if loaded else ""


def _machine() -> str:
    """Model, processor and memory, as far as Linux tells."""
    places = (("/proc/device-tree/model", ""), ("/proc/cpuinfo", "model name"), ("/proc/meminfo", "MemTotal:"))
    facts = []
    for path, prefix in places:
        try:
            text = Path(path).read_text(errors="replace")
        except OSError:
            continue
        line = next((line for line in text.splitlines() if line.startswith(prefix)), "")
        facts.append(line.removeprefix(prefix).strip("\0 \t:"))
    return ", ".join(filter(None, facts)) or "unknown"
