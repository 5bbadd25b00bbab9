"""The log: rollover, no secrets, no forged lines, no waiting."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moonraker_lite import logs as logs_module
from moonraker_lite.logfile import RolloverFile
from moonraker_lite.logs import MAX_LINE, Logs, setup_logging, startup_block

LOGGER = logging.getLogger("moonraker_lite.test")
MakeLogs = Callable[..., Logs]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "moonraker.log"


@pytest.fixture
def make(log_file: Path) -> Iterator[MakeLogs]:
    made: list[Logs] = []

    def make_logs(**options: object) -> Logs:
        made.append(setup_logging(**{"log_file": log_file, "console": None, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make_logs
    for one in made:
        one.close()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_writes_all_on_close_and_leaves_the_root_logger_as_it_was(make: MakeLogs, log_file: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    made = make()
    for number in range(500):
        LOGGER.info("line %d", number)
    LOGGER.debug("too fine")
    made.close()
    made.close()
    assert [line.rsplit(" ", 1)[1] for line in lines(log_file)] == [str(number) for number in range(500)]
    assert " INFO moonraker_lite.test: line 0" in lines(log_file)[0]
    assert (root.level, list(root.handlers)) == before
    LOGGER.info("afterwards")


def test_verbose_logs_the_fine_lines_too(make: MakeLogs, log_file: Path) -> None:
    made = make(verbose=True)
    LOGGER.debug("fine")
    made.close()
    assert lines(log_file)[0].endswith("fine")


def test_no_secret_is_written(make: MakeLogs, log_file: Path) -> None:
    made = make()
    made.hide("a-value-without-a-name")
    made.hide("short")
    LOGGER.warning("GET /x?token=%s", "sesame-1")
    LOGGER.warning("it is a-value-without-a-name, in short")
    try:
        raise ValueError("password='sesame-2'")
    except ValueError:
        LOGGER.exception("login failed")
    made.set_startup_block(["api_key: sesame-3"])
    made.close()
    text = log_file.read_text()
    assert "sesame" not in text
    assert "without-a-name" not in text
    assert "in short" in text
    assert "Traceback" in text


def test_nobody_forges_a_line_or_steers_the_terminal(make: MakeLogs, log_file: Path) -> None:
    console = io.StringIO()
    made = make(console=console)
    LOGGER.warning("upload of %r", "a")
    LOGGER.warning(
        "upload of %s", "x\r\n2026-01-01 00:00:00,000 INFO root: all is well\x1b[2J\x07\u2028\u202e\x85\tend"
    )
    made.close()
    text = log_file.read_text()
    assert text == console.getvalue()
    assert [line[:4].isdigit() for line in text.split("\n")[:-1]] == [True, True, False]
    assert "\\x0d\n    2026-01-01" in text
    assert "\\x1b[2J\\x07\\u2028\\u202e\\x85\tend" in text
    assert not set(text) & {"\r", "\x1b", "\x07", "\u2028", "\u202e", "\x85"}


def test_lone_surrogates_and_long_lines_are_written(make: MakeLogs, log_file: Path) -> None:
    made = make()
    LOGGER.info("name %s", os.fsdecode(b"caf\xe9.gcode"))
    LOGGER.info("x" * (MAX_LINE * 2))
    made.close()
    first, second = lines(log_file)
    assert first.endswith("name caf\\udce9.gcode")
    assert len(second) < MAX_LINE + 100
    assert second.endswith("characters)")


def test_arguments_that_do_not_fit_are_no_crash(make: MakeLogs, log_file: Path) -> None:
    others = list(logging.getLogger().handlers)
    made = make()
    ours = next(handler for handler in logging.getLogger().handlers if handler not in others)
    ours.handle(logging.LogRecord("x", logging.INFO, "file.py", 1, "%d lines", ("many",), None))
    LOGGER.info("next")
    made.close()
    assert "does not fit its arguments: '%d lines' (file.py)" in lines(log_file)[0]
    assert lines(log_file)[1].endswith("next")


def test_the_startup_block_stands_at_the_top_of_each_file(make: MakeLogs, log_file: Path) -> None:
    made = make()
    made.set_startup_block(["block 1", "block 2"])
    LOGGER.info("before")
    made.rollover().result(5)
    LOGGER.info("after")
    made.close()
    old = [path for path in log_file.parent.iterdir() if path != log_file]
    assert [path.name for path in old] == [f"moonraker.log.{time.strftime('%Y-%m-%d')}"]
    assert [line.rsplit(" ", 2)[-2:] for line in lines(old[0])][:2] == [["block", "1"], ["block", "2"]]
    assert lines(old[0])[-1].endswith("before")
    assert lines(log_file)[:2] == ["block 1", "block 2"]
    assert lines(log_file)[-1].endswith("after")


def test_a_service_s_console_gets_warnings_only(make: MakeLogs, log_file: Path) -> None:
    console = io.StringIO()
    made = make(console=console)
    LOGGER.info("fine")
    LOGGER.warning("bad")
    made.close()
    assert len(lines(log_file)) == 2
    assert console.getvalue().endswith("bad\n")
    assert "fine" not in console.getvalue()


def test_without_a_file_the_console_gets_all(make: MakeLogs, log_file: Path) -> None:
    console = io.StringIO()
    made = make(console=console, log_file=None)
    LOGGER.info("fine")
    made.rollover().result(5)
    made.close()
    assert console.getvalue().endswith("fine\n")
    assert not log_file.exists()


class Stuck(io.StringIO):
    """A terminal that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(20)
        return super().write(text)


def test_a_stuck_console_stops_nobody_and_drops_are_counted(make: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "QUEUE_LINES", 50)
    console = Stuck()
    made = make(console=console, log_file=None)
    for number in range(2000):
        LOGGER.warning("line %d", number)
    refused = made.rollover()
    with pytest.raises(RuntimeError, match="keep up"):
        refused.result(0)
    console.go.set()
    made.close()
    text = console.getvalue()
    assert "log lines were dropped" in text
    dropped = sum(int(line.split()[-5]) for line in text.splitlines() if line.endswith("log lines were dropped"))
    assert dropped + sum(": line " in line for line in text.splitlines()) == 2000


def test_a_console_that_is_gone_does_not_stop_the_file(make: MakeLogs, log_file: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    console = os.fdopen(writer, "w")
    made = make(console=console)
    LOGGER.warning("one")
    made.rollover().result(5)
    LOGGER.warning("two")
    made.close()
    with contextlib.suppress(BrokenPipeError):
        console.close()
    assert lines(log_file)[-1].endswith("two")


def test_a_closed_log_refuses_a_rollover(make: MakeLogs) -> None:
    made = make()
    made.close()
    with pytest.raises(RuntimeError):
        made.rollover().result(0)
    made.set_startup_block(["too late"])


def test_a_folder_that_cannot_be_made_raises_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        setup_logging(log_file=tmp_path / "file" / "moonraker.log", console=None)


def dated(path: Path, day: str) -> Path:
    return path.with_name(f"{path.name}.{day}")


def test_a_file_of_yesterday_is_put_aside_at_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    path.write_text("old\n")
    yesterday = time.time() - 86400
    os.utime(path, (yesterday, yesterday))
    file = RolloverFile(path)
    file.write("new\n")
    file.close()
    day = time.strftime("%Y-%m-%d", time.localtime(yesterday))
    assert dated(path, day).read_text() == "old\n"
    assert path.read_text() == "new\n"


def test_a_new_day_begins_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.log"
    file = RolloverFile(path, keep=5)
    file.header = "top\n"
    now = time.time()
    for day in range(9):
        monkeypatch.setattr(time, "time", lambda day=day: now + day * 86400)
        file.write(f"day {day}\n")
        file.write(f"day {day} again\n")
    file.close()
    monkeypatch.undo()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    days = [time.strftime("%Y-%m-%d", time.localtime(now + day * 86400)) for day in range(3, 8)]
    assert names == ["m.log", *(f"m.log.{day}" for day in days)]
    assert path.read_text() == "top\nday 8\nday 8 again\n"
    assert dated(path, days[0]).read_text() == "top\nday 3\nday 3 again\n"


def test_several_rollovers_of_one_day_keep_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    (tmp_path / "m.log.notes").write_text("mine")
    file = RolloverFile(path, keep=3)
    for number in range(13):
        file.write(f"{number}\n")
        file.rollover()
    file.write("last\n")
    file.close()
    assert path.read_text() == "last\n"
    kept = sorted(entry.read_text() for entry in tmp_path.glob("m.log.2*"))
    assert kept == ["10\n", "11\n", "12\n"]
    assert (tmp_path / "m.log.notes").exists()


def test_a_flood_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    file = RolloverFile(path, keep=2, max_bytes=1000)
    for _ in range(100):
        file.write("x" * 99 + "\n")
    file.close()
    sizes = [entry.stat().st_size for entry in tmp_path.iterdir()]
    assert len(sizes) == 3
    assert max(sizes) <= 1000


def test_a_file_that_was_removed_or_renamed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.logfile.CHECK_SECONDS", 0.0)
    path = tmp_path / "m.log"
    file = RolloverFile(path)
    file.write("one\n")
    path.unlink()
    file.write("two\n")
    path.rename(tmp_path / "moved")
    file.write("three\n")
    file.close()
    assert path.read_text() == "three\n"
    assert (tmp_path / "moved").read_text() == "two\n"


def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    path.symlink_to("/dev/full")
    file = RolloverFile(path)
    file.write("lost\n")
    file.write("lost too\n")
    path.unlink()
    file.write("kept\n")
    file.close()
    assert path.read_text() == "kept\n"


def test_the_startup_block_tells_what_a_helper_needs() -> None:
    block = startup_block(
        version="1.2.3",
        config={"DEFAULT": {}, "server": {"port": "7125"}, "authorization": {"trusted_clients": "\n127.0.0.1"}},
        extra=[("Data path", "/home/pi/printer_data")],
    )
    text = "\n".join(block)
    for part in (
        "1.2.3",
        "Python",
        "Data path",
        "/home/pi/printer_data",
        "[server]\nport: 7125",
        "trusted_clients:\n    127",
    ):
        assert part in text
    assert "DEFAULT" not in text


def test_importing_the_log_is_light() -> None:
    heavy = ["asyncio", "logging.handlers", "socket", "msgspec", "platform", "pickle"]
    code = f"import sys, moonraker_lite.logs; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
