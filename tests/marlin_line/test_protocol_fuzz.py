"""A firmware that talks nonsense: `LineProtocol` neither raises, nor floods, nor acknowledges anything twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Busy,
    Event,
    Fatal,
    FirmwareReset,
    Line,
    LineProtocol,
    LinkTrouble,
    State,
)
from tests.marlin_line.dialogue import TEMPERATURES
from tests.marlin_line.transcripts import names, needs_transcripts, replies

NUMBERS = st.integers(-2, 40)
PLAUSIBLE = st.one_of(
    st.sampled_from(
        [
            *("ok", "ok", "ok", TEMPERATURES, "ok P15 B3", "wait", "start", "PowerUp", "echo:busy: processing"),
            *(" T:20.0 /0.0 B:20.0 /0.0 @:0 B@:0 W:?", 'echo:Unknown command: "X"', "Error:Probing Failed"),
            *("//action:cancel", "", "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "FIRMWARE_NAME:Marlin x"),
        ]
    ),
    NUMBERS.map("ok N{0} P15 B3".format),
    NUMBERS.map("Resend: {}".format),
    NUMBERS.map("Error:checksum mismatch, Last Line: {}\nResend: 3".format),
    NUMBERS.map(
        lambda number: f"Error:Line Number is not Last Line Number+1, Last Line: {number}\nResend: {number + 1}\nok"
    ),
    NUMBERS.map("rs {}".format),
    st.just("Error:Printer halted. kill() called!"),
).map(lambda text: text.encode() + b"\n")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), PLAUSIBLE),
        st.tuples(st.just("hear"), st.binary(max_size=30)),
        st.tuples(st.just("wait"), st.floats(0.0, 5.0)),
        st.tuples(st.just("send"), st.sampled_from(["G1 X1", "M105", "G28", "G4 P1", "M118 start", "M110 N3"])),
        st.tuples(st.just("emergency"), st.sampled_from(["M108", "M112", "M876 S0"])),
    ),
    max_size=120,
)


class Watcher:
    """Counts what was told of each token: it ends once, acknowledged or dropped."""

    def __init__(self) -> None:
        self.ended: set[int] = set()

    def see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Acknowledged):
                self.end(event.token)
            elif isinstance(event, FirmwareReset | Fatal | LinkTrouble):
                for token in event.unacknowledged:
                    self.end(token)

    def end(self, token: int) -> None:
        assert token not in self.ended
        self.ended.add(token)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans(), st.sampled_from([None, 1, 4]))
def test_any_nonsense(steps: list[tuple[str, object]], shaken: bool, window: int | None) -> None:
    protocol = LineProtocol(window_lines=window)
    watcher = Watcher()
    now = 0.0
    protocol.connected(now)
    protocol.data_to_send(now)
    if shaken:
        for data in (b"ok\n", TEMPERATURES.encode() + b"\n"):
            watcher.see(protocol.receive(data, now))
            protocol.data_to_send(now)
        assert protocol.ready
    sent = 0
    tokens: list[int] = []
    for kind, value in steps:
        if kind == "hear":
            assert isinstance(value, bytes)
            watcher.see(protocol.receive(value, now))
        elif kind == "wait":
            assert isinstance(value, float)
            end = now + value
            for _ in range(60):
                deadline = protocol.next_deadline()
                if deadline is None or deadline > end:
                    break
                now = max(now, deadline)
                watcher.see(protocol.tick(now))
                sent += len(protocol.data_to_send(now))
            else:
                raise AssertionError("it wakes without end")
            now = end
        else:
            assert isinstance(value, str)
            tokens.append(protocol.send(value, now, emergency=kind == "emergency"))
        data = protocol.data_to_send(now)
        assert not data or data.endswith(b"\n")
        sent += len(data)
        now += 0.001
    assert sent < 100 * (len(steps) + 10)
    if protocol.state is not State.CLOSED:
        for token in protocol.disconnected():
            watcher.end(token)
    watcher.see(protocol.tick(now))
    assert watcher.ended == set(tokens)


@needs_transcripts
@pytest.mark.parametrize("name", names())
def test_what_real_marlin_said_is_understood(name: str) -> None:
    """Every recorded reply, in pieces: no error, and halts and resets are seen where the recording has them."""
    said = replies(name)
    protocol = LineProtocol()
    protocol.connected(0.0)
    for line in (b"ok\n", TEMPERATURES.encode() + b"\n"):
        protocol.receive(line, 0.0)
    data = b"".join(line + b"\n" for line in said)
    events: list[Event] = []
    for at in range(0, len(data), 17):
        events += protocol.receive(data[at : at + 17], 0.001 * at)
    halts = [line for line in said if b"halted" in line or b"system stopped" in line]
    assert bool(halts) == any(isinstance(event, Fatal) for event in events)
    texts = {event.text for event in events if isinstance(event, Line)}
    assert all(line.decode() in texts for line in said if line.startswith(b"echo:  M"))
    busy = [line for line in said if line.startswith(b"echo:busy")]
    assert len([event for event in events if isinstance(event, Busy)]) == len(busy)
