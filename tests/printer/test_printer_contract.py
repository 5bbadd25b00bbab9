"""Every call of the recorded scenario about the printer is made again, and answered as Moonraker answered it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.api_client import ApiClient

DATA = Path(__file__).resolve().parents[1] / "data" / "klippy" / "printer_api.jsonl"
RECORDED = [json.loads(line) for line in DATA.read_text().splitlines()]

# Values that depend on time, on what was printed before, or on the place of the data path.
VOLATILE = {
    "eventtime", "temperature", "estimated_print_time", "print_time", "measured_min_temp", "measured_max_temp",
    "sysload", "cputime", "memavail", "last_stats", "websocket_id",
}  # fmt: skip
# Calls that we answer otherwise, and why.
DIFFERENT = {"GET print.start": "the message says which verbs are possible"}


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: type(item).__name__ if key in VOLATILE else _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _error_of(answer: Any) -> Any:
    return answer.get("error") if isinstance(answer, dict) else None


def _differs(entry: dict[str, Any], got: Any) -> str:
    want = entry["answer"]
    if want is None or entry["name"] in DIFFERENT:
        return ""
    want_error, got_error = _error_of(want), _error_of(got)
    if want_error is not None and got_error is not None:
        if want_error["code"] != got_error["code"]:
            return f"code {got_error['code']} instead of {want_error['code']}"
        free = want_error["message"] in ("Unknown", "Not Found", "Invalid params:")
        return "" if free or want_error["message"] == got_error["message"] else f"message {got_error['message']!r}"
    return "" if _shown(want) == _shown(got) else f"{_shown(got)!r:.300} instead of {_shown(want)!r:.300}"


async def _repeat(entry: dict[str, Any], client: ApiClient, websocket: int) -> str:
    if entry["kind"] == "ws":
        answer = await client.answer(entry["method"], entry.get("params"))
        return _differs(entry, {key: answer[key] for key in ("result", "error") if key in answer})
    path = entry["path"]
    if "connection_id=" in path and "12345678" not in path:
        head, _, rest = path.partition("connection_id=")
        path = f"{head}connection_id={websocket}{rest[rest.find('&') :] if '&' in rest else ''}"
    answered = await client.http(entry["verb"], path, entry["body"] if entry["has_body"] else None)
    if answered.status != entry["status"]:
        return f"status {answered.status} instead of {entry['status']}"
    return _differs(entry, answered.json)


async def test_the_recorded_scenario(client: ApiClient) -> None:
    problems = []
    websocket = (await client.call("server.websocket.id"))["websocket_id"]
    for entry in RECORDED:
        client.notes.clear()
        problem = await _repeat(entry, client, websocket)
        if not problem and "notify" in entry:
            lines = [params for name, params in client.notes if name == "notify_gcode_response"]
            wanted = [params for name, params in entry["notify"] if name == "notify_gcode_response"]
            problem = "" if lines == wanted else f"lines {lines} instead of {wanted}"
        if problem:
            problems.append(f"{entry['name']}: {problem}")
    assert not problems, "\n".join(problems)
