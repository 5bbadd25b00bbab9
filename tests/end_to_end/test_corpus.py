"""Every file of the corpus goes in over HTTP and has metadata; three of them are printed to the end."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.daemon import Daemon
from tests.support.api_client import connected

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "gcode" / "corpus"
PRINTED = ("cura413_ender3_cube.gcode", "curaold_15_bpcase.gcode", "cura_3.1.0-beta_cube.gcode")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of G-code files is not beside the project"),
]


def has_ended(name: str, stats: dict[str, Any]) -> bool:
    return stats["filename"] == name and stats["state"] in ("complete", "error")


async def test_corpus(daemon: Daemon) -> None:
    await daemon.start()
    names = sorted(path.name for path in CORPUS.iterdir() if path.suffix in (".gcode", ".ufp", ".g", ".gco"))
    for name in names:
        response = await daemon.upload(name, (CORPUS / name).read_bytes())
        assert response.status in (201, 400, 422), (name, response.body)
        if response.status != 201:
            assert name.endswith(".ufp"), (name, response.body)
    listed = {entry["path"] for entry in await daemon.get("/server/files/list")}
    assert len(listed) >= len(names) - 3
    directory = await daemon.get("/server/files/directory?path=gcodes&extended=true")
    without = [entry["filename"] for entry in directory["files"] if "slicer" not in entry]
    assert without == []
    async with connected(daemon.port) as client:
        for count, name in enumerate(PRINTED, 1):
            await client.call("printer.print.start", filename=name)
            stats = await daemon.until(partial(has_ended, name), 90)
            assert stats["state"] == "complete", stats
            await client.until(lambda wanted=2 * count: len(client.of("notify_history_changed")) == wanted)  # type: ignore[misc]
        changes = [(note["action"], note["job"]["status"]) for (note,) in client.of("notify_history_changed")]
    assert changes == [("added", "in_progress"), ("finished", "completed")] * len(PRINTED)
    jobs = await daemon.get("/server/history/list?order=asc")
    assert [job["filename"] for job in jobs["jobs"]] == list(PRINTED), json.dumps(jobs)[:2000]
