"""`python -m moonraker_lite.marlin` as a process: start, peers, signals, log."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from moonraker_lite.marlin.log import RollingHandler
from moonraker_lite.marlin.settings import SettingsError, load_settings
from tests.marlin_host.raw_client import RawClient

Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start the process with a socket in `tmp_path`; whatever still runs at the end is killed."""
    processes: list[asyncio.subprocess.Process] = []
    (tmp_path / "gcodes").mkdir()

    async def run(*extra: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "moonraker_lite.marlin", "--socket", str(tmp_path / "m.sock")),
            *("--gcodes", str(tmp_path / "gcodes"), "--log", str(tmp_path / "klippy.log")),
            *("--state-dir", str(tmp_path / "state"), *extra),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def connected(path: Path) -> RawClient:
    async with asyncio.timeout(20):
        while True:
            try:
                return await RawClient.connect(path)
            except OSError:
                await asyncio.sleep(0.05)


async def wait_for_state(client: RawClient, state: str, timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while (await client.result("info"))["state"] != state:
            await asyncio.sleep(0.05)


async def test_without_a_printer_it_serves_and_says_what_is_wrong(start: Start, tmp_path: Path) -> None:
    process = await start("--serial", str(tmp_path / "nosuch"))
    client = await connected(tmp_path / "m.sock")
    await wait_for_state(client, "error")
    info = await client.result("info")
    assert "nosuch" in info["state_message"]
    assert info["process_id"] == process.pid
    assert info["software_version"].startswith("v0.13.0-")
    assert info["log_file"] == str(tmp_path / "klippy.log")
    await client.close()
    process.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.1)
    assert process.returncode is None
    process.terminate()
    assert await process.wait() == 0
    assert not (tmp_path / "m.sock").exists()
    assert "Ending" in (tmp_path / "klippy.log").read_text()


async def test_with_the_virtual_printer_it_prints_and_ends_cold(start: Start, tmp_path: Path) -> None:
    process = await start("--virtual", "--speed", "0", "--name", "demo")
    (tmp_path / "gcodes" / "a.gcode").write_text("G28\nG90\nM83\n" + "G1 X10 E1 F3000\nG1 X20 E1\n" * 200)
    client = await connected(tmp_path / "m.sock")
    await wait_for_state(client, "ready")
    await client.listen()
    assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    async with asyncio.timeout(20):
        while (await client.status("print_stats"))["state"] == "printing":
            await asyncio.sleep(0.05)
    stats = await client.status("print_stats")
    assert (stats["state"], stats["filament_used"]) == ("complete", 400.0)
    assert client.output[:2] == ["File opened:a.gcode Size:5212", "File selected"]
    assert client.output[-1] == "Done printing file"
    await client.close()
    process.terminate()
    assert await process.wait() == 0


async def test_faults_that_nobody_knows_are_refused(start: Start, tmp_path: Path) -> None:
    process = await start("--virtual", "--faults", "nosuch=1")
    assert await process.wait() == 2
    assert "nosuch" in (tmp_path / "klippy.log").read_text()


async def test_a_second_one_on_the_same_socket_leaves(start: Start, tmp_path: Path) -> None:
    await start("--serial", str(tmp_path / "nosuch"))
    client = await connected(tmp_path / "m.sock")
    second = await start("--serial", str(tmp_path / "nosuch"))
    assert await second.wait() == 3
    assert (await client.result("info"))["state"] in ("startup", "error")
    await client.close()


async def test_after_kill_9_the_next_one_takes_the_socket(start: Start, tmp_path: Path) -> None:
    first = await start("--serial", str(tmp_path / "nosuch"))
    await (await connected(tmp_path / "m.sock")).close()
    first.kill()
    await first.wait()
    assert (tmp_path / "m.sock").exists()
    second = await start("--serial", str(tmp_path / "nosuch"))
    client = await connected(tmp_path / "m.sock")
    assert (await client.result("info"))["process_id"] == second.pid
    await client.close()


async def test_wrong_settings_and_faults_are_told(start: Start, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"idle_timeout": "never"}')
    process = await start("--serial", "x", "--settings", str(settings))
    assert await process.wait() == 2
    assert "idle_timeout" in (tmp_path / "klippy.log").read_text()


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"position_max": [220, 220, 250], "pause_gcode": "G91"}')
    assert load_settings(path).position_max == (220.0, 220.0, 250.0)
    assert load_settings(None).idle_timeout == 1800.0
    for text in ("{", '{"unknown": 1}', '{"position_max": [1]}', "[]"):
        path.write_text(text)
        with pytest.raises(SettingsError, match="not valid"):
            load_settings(path)
    with pytest.raises(SettingsError, match="Cannot read"):
        load_settings(tmp_path / "none.json")


def test_the_log_rolls_over(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "klippy.log"
    handler = RollingHandler(path, max_size=200, keep=2)
    for index in range(30):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, f"line {index:02} " + "x" * 20, None, None))
    handler.close()
    assert sorted(os.listdir(path.parent)) == ["klippy.log", "klippy.log.1", "klippy.log.2"]
    assert "line 29" in path.read_text() or "line 29" in path.with_name("klippy.log.1").read_text()
    assert all(file.stat().st_size < 300 for file in path.parent.iterdir())
