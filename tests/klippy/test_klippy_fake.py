"""The fake Klipper answers what the real one answered: every recorded edge case is sent to it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.klippy import FakeKlippy
from tests.fakes.klippy_printer import CommandError

DATA = Path(__file__).resolve().parents[1] / "data" / "klippy"
CASES = [json.loads(line) for line in (DATA / "edge_cases.jsonl").read_text().splitlines()]
VOLATILE = {"eventtime", "estimated_print_time"}


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKlippy]:
    (tmp_path / "gcodes").mkdir()
    async with FakeKlippy(tmp_path / "sock", tmp_path / "gcodes", speed=8, grid=0.03) as klippy:
        await klippy.until("ready")
        yield klippy


def _same(value: Any, root: str) -> Any:
    """What must be equal: everything but the times and the place of the data path."""
    if isinstance(value, dict):
        return {key: type(item) if key in VOLATILE else _same(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_same(item, root) for item in value]
    return value.replace(root, "/printer/printer_data") if isinstance(value, str) else value


async def _send(writer: asyncio.StreamWriter, case: dict[str, Any]) -> None:
    for message in case["sent"]:
        raw = message["raw"].encode() if "raw" in message else json.dumps(message).encode() + b"\x03"
        if case["name"] == "byte by byte":
            for byte in raw:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(raw)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_recorded_edge_case(fake: FakeKlippy, case: dict[str, Any], tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(fake.socket))
    await _send(writer, case)
    received = []
    for _ in case["received"]:
        raw = await asyncio.wait_for(reader.readuntil(b"\x03"), 3)
        received.append(json.loads(raw[:-1]))
    if "subscribe without" not in case["name"]:  # there the updates never end
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readuntil(b"\x03"), 0.1)
    writer.close()
    assert _same(received, str(tmp_path)) == _same(case["received"], str(tmp_path))


async def test_a_print_runs_from_start_to_complete(fake: FakeKlippy) -> None:
    fake.gcodes.joinpath("a.gcode").write_text("G28\nM109 S200\nM83\nG1 X50 Y50 Z1 F6000\nG1 X60 E5 F3000\nM73 P50\n")
    await fake.gcode.run_script('SDCARD_PRINT_FILE FILENAME="a.gcode"')
    stats = fake.printer.status["print_stats"]
    assert stats["state"] == "printing"
    async with asyncio.timeout(10):
        while stats["state"] == "printing":
            await asyncio.sleep(0.01)
    assert stats["state"] == "complete"
    assert stats["filename"] == "a.gcode"
    assert stats["filament_used"] == 5.0
    assert 0 < stats["print_duration"] < stats["total_duration"]
    assert fake.printer.status["virtual_sdcard"] | {"file_size": 0, "file_position": 0} == {
        "file_path": None,
        "progress": 1.0,
        "is_active": False,
        "file_position": 0,
        "file_size": 0,
    }


async def test_pause_resume_and_cancel_a_print(fake: FakeKlippy) -> None:
    moves = "".join(f"G1 X{50 + i % 100} F600\n" for i in range(400))
    fake.gcodes.joinpath("long.gcode").write_text("G28\n" + moves)
    await fake.gcode.run_script("SDCARD_PRINT_FILE FILENAME=long.gcode")
    await asyncio.sleep(0.6)
    await fake.gcode.run_script("PAUSE")
    stats, sdcard = fake.printer.status["print_stats"], fake.printer.status["virtual_sdcard"]
    assert (stats["state"], sdcard["is_active"]) == ("paused", False)
    assert fake.printer.status["pause_resume"]["is_paused"] is True
    await fake.gcode.run_script("RESUME")
    assert (stats["state"], sdcard["is_active"]) == ("printing", True)
    await fake.gcode.run_script("CANCEL_PRINT")
    assert (stats["state"], sdcard["file_path"], sdcard["progress"]) == ("cancelled", None, 0.0)


async def test_a_dangling_link_shuts_the_printer_down_at_the_next_print(fake: FakeKlippy) -> None:
    fake.gcodes.joinpath("broken.gcode").symlink_to("/nonexistent/x.gcode")
    with pytest.raises(CommandError, match="Internal error on command"):
        await fake.gcode.run_script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert fake.printer.state == "shutdown"


async def test_an_unknown_section_in_printer_cfg_ends_in_state_error(tmp_path: Path) -> None:
    (tmp_path / "gcodes").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "printer.cfg").write_text("[printer]\nkinematics: none\n[bogus_section]\n")
    async with FakeKlippy(tmp_path / "sock", tmp_path / "gcodes", speed=50) as klippy:
        await klippy.until("error")
        assert klippy.printer.state_message.startswith("Section 'bogus_section' is not a valid config section\n")


async def test_it_runs_alone(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[1] / "fakes" / "klippy.py"
    process = await asyncio.create_subprocess_exec(
        "python3", str(script), "--socket", str(tmp_path / "s"), "--gcodes", str(tmp_path / "g"), "--speed", "50"
    )
    try:
        async with asyncio.timeout(10):
            while not (tmp_path / "s").exists():
                await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b'{"id":1,"method":"info"}\x03')
        answer = json.loads((await asyncio.wait_for(reader.readuntil(b"\x03"), 5))[:-1])
        assert answer["result"]["software_version"].startswith("v0.13.0")
        writer.close()
    finally:
        process.terminate()
        assert await process.wait() == 0
