"""What real Klipper sent in a recorded session arrives whole and in order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from moonraker_lite.klippy import KlippyClient, KlippyState
from tests.fakes.klippy_listener import RecordingListener

SESSION = Path(__file__).resolve().parents[1] / "data" / "klippy" / "session.jsonl"
RECORDED = [json.loads(line) for line in SESSION.read_text().splitlines()]
ANSWERS: dict[str, Any] = {
    "info": {"state": "ready", "state_message": "Printer is ready", "software_version": "v1"},
    "list_endpoints": {"endpoints": ["info", "gcode/script"]},
    "objects/subscribe": {"eventtime": 1.5, "status": {"webhooks": {"state": "ready", "state_message": ""}}},
    "gcode/subscribe_output": {},
    "objects/list": {"objects": ["webhooks"]},
}


class Replay:
    """Answers the set-up, then sends what was recorded of one connection, in odd pieces, and closes."""

    def __init__(self, conn: int) -> None:
        self.messages = [entry["msg"] for entry in RECORDED if entry["conn"] == conn and "msg" in entry]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method = ""
        while method != "objects/list":
            request = json.loads((await reader.readuntil(b"\x03"))[:-1])
            method = request["method"]
            writer.write(json.dumps({"id": request["id"], "result": ANSWERS[method]}).encode() + b"\x03")
        await asyncio.sleep(0.05)  # until the client has set itself up
        stream = b"".join(json.dumps(message).encode() + b"\x03" for message in self.messages)
        for start in range(0, len(stream), 1009):
            writer.write(stream[start : start + 1009])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()


async def _play(conn: int, path: Path) -> tuple[RecordingListener, list[Any]]:
    replay = Replay(conn)
    server = await asyncio.start_unix_server(replay.serve, str(path))
    listener = RecordingListener()
    client = KlippyClient(path, listener=listener)
    await client.start()
    await listener.until_state(KlippyState.DISCONNECTED)
    await client.close()
    server.close()
    return listener, replay.messages


def _event(params: dict[str, Any]) -> tuple[str, Any]:
    return ("status", params["status"]) if "status" in params else ("response", params["response"])


async def test_a_print_with_pause_resume_and_restart(tmp_path: Path) -> None:
    listener, messages = await _play(1, tmp_path / "s")
    assert listener.states == [KlippyState.STARTUP, KlippyState.READY, KlippyState.DISCONNECTED]
    got = [event[:2] for event in listener.events if event[0] in ("status", "response")]
    sent = [_event(message["params"]) for message in messages]
    assert got == sent
    stats = [status["print_stats"] for status in listener.of("status") if "print_stats" in status]
    states = [values["state"] for values in stats if "state" in values]
    assert states == ["printing", "paused", "printing", "complete", "printing", "cancelled", "error"]


async def test_an_emergency_stop(tmp_path: Path) -> None:
    listener, _messages = await _play(10, tmp_path / "s")
    assert listener.states[1:] == [KlippyState.READY, KlippyState.SHUTDOWN, KlippyState.DISCONNECTED]
    assert listener.of("response")[0] == "// Klipper state: Shutdown"
    assert listener.of("response")[-1] == "// Klipper state: Disconnect"
