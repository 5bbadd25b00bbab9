"""The recorded scenarios of a real Moonraker, replayed: each request is answered as recorded, or the difference stated.

The same comparison with all its waiting, as a front end sees it, is scripts/conformance.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.host import Host
from tests.conformance.replay import PATIENCE, Session
from tests.conformance.rig import MOONRAKER_CONF
from tests.conformance.scenes import Scene, install_klipper
from tests.conformance.stated import DEVIATIONS, UNPAIRED
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.recordings import records

# Scenario, and the record at which its replay ends: behind it the recorder changes files itself.
SCENARIOS = [
    ("01_server", None),
    ("03_files_read", None),
    ("04_download", None),
    ("05_upload", None),
    ("06_directories", None),
    ("07_move_copy_zip", None),
    ("07b_moving_a_root_or_config_through_dotdot", None),
    ("08_delete_and_external_changes", "mkdir gcodes/ext"),
    ("09_database", None),
    ("14_jsonrpc_edge", None),
]
# What a recording does not hold of a request: the name of a form's part, the headers of a websocket, long texts; and
# what takes time instead of a request.
INCOMPLETE = {
    "wrong field name",
    "connect with foreign Origin",
    "connect with allowed Origin",
    "big message 1.1MB",
    "fresh connection: unsolicited notifications in 2.5 s",
}


# What was asked before the recording and shows in it.
EARLIER = {"09_database": [("server.files.metascan", {"filename": "empty.gcode"})]}
WRITTEN = 1.0  # s after which metadata is in the database
# G-code is text here, whatever its ending.
OTHER_TYPES = {"content type .g", "content type .nc"}


@pytest.fixture
async def host(make_host: MakeHost, tmp_path: Path) -> AsyncIterator[Host]:
    data = tmp_path / "printer_data"
    for name in ("comms", "gcodes", "config", "logs"):
        (data / name).mkdir(parents=True)
    klipper = install_klipper(tmp_path / "klipper")
    async with FakeKlippy(data / "comms" / "klippy.sock", data / "gcodes", speed=50, klipper=klipper) as klippy:
        await klippy.until("ready")
        config = MOONRAKER_CONF.partition("[authorization]")[2]
        # What it adds is announced by itself, later.
        config = config.replace("[file_manager]", "[file_manager]\nenable_move_analysis: False")
        yield await make_host(f"[authorization]{config}", data)


@pytest.mark.parametrize(("scenario", "end"), SCENARIOS, ids=[name for name, _ in SCENARIOS])
async def test_replayed(host: Host, tmp_path: Path, scenario: str, end: str | None) -> None:
    rows = records(scenario)
    stated = json.loads(DEVIATIONS.read_text(encoding="utf-8"))
    scene = Scene(tmp_path / "printer_data")
    gcodes = tmp_path / "printer_data" / "gcodes"
    found: list[str] = []
    async with Session.open(host.port) as session:
        scene.begin(scenario)
        await session.settled(gcodes, 0.5)
        for method, params in EARLIER.get(scenario, ()):
            await session.call({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
            await session.quiet(WRITTEN)
        for row in rows:
            if row["name"] == end:
                break
            if row["kind"] not in ("http", "ws", "raw") or row["name"] in INCOMPLETE | OTHER_TYPES:
                continue
            if scene.step(scenario, row["name"]):
                await session.settled(gcodes, 0.6)
            differs = not stated.get(f"{scenario}/{row['name']}", UNPAIRED).startswith(UNPAIRED)
            problems = await session.differences(row, scene.upload(row["request"]), 0.1 if differs else PATIENCE)
            if differs and not problems:
                found.append(f"{row['name']}: stated, but answered as recorded")
            elif not differs:
                found += [f"{row['name']}: {problem}" for problem in problems]
    assert not found, "\n".join(found)
