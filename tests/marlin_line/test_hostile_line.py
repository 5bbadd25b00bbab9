"""The protocol against a bare Marlin over a hostile wire, in simulated time: what is executed is what was sent."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.protocol import Event, FirmwareReset, LineProtocol, LinkTrouble
from moonraker_lite.marlin.protocol.wire import encode
from moonraker_lite.marlin.virtual.faults import FaultPlan, change_byte
from moonraker_lite.marlin.virtual.receiver import Receiver
from moonraker_lite.marlin.virtual.wire import BareFirmware, Chunker, SimulatedLine, linewise, ragged, single, whole

STALL = 5.0


def moves(count: int) -> list[str]:
    """A job: no two neighbours are alike, so that nothing lost, repeated or moved can go unseen."""
    return [f"G1 X{index % 200}.{index % 10} Y{index % 190} E{index / 10:.3f}" for index in range(count)]


def at_once(_: bytes) -> float:
    return 0.0


def with_pauses(seed: int, longest: float) -> Callable[[bytes], float]:
    """Most commands take no time, some make the firmware wait for its planner."""
    rng = random.Random(seed)
    return lambda _: rng.random() * longest if rng.random() < 0.2 else 0.0


def printed(
    count: int,
    plan: FaultPlan,
    *,
    advanced: bool,
    chunker: Chunker = whole,
    window: int | None = None,
    delay: float = 0.001,
    rate: float = 0.0,
    cost: Callable[[bytes], float] = at_once,
    plain_m105: bool = False,
) -> SimulatedLine:
    """Print a job; everything that must always hold is checked here."""
    commands = moves(count)
    protocol = LineProtocol(window_lines=window)
    firmware = BareFirmware(advanced_ok=advanced, cost=cost, plain_m105=plain_m105)
    line = SimulatedLine(protocol, firmware, plan, chunker=chunker, delay=delay, bytes_per_second=rate)
    line.run(commands, limit=count * 2.0 + 100.0)
    assert [text.decode() for text in firmware.executed] == commands
    assert line.acknowledged == list(range(1, count + 1))
    assert line.longest_stall <= STALL
    if advanced:
        assert firmware.receiver.lost_bytes == 0
    return line


# A piece that ends within a line lets Marlin's flush cut the line in two; its rest is believed without number and
# checksum. No host can help that, except by having nothing behind a damaged line: one line at a time.
WIRES = st.sampled_from([(whole, None), (whole, 4), (single, None), (single, 4), (ragged, 1)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    wire=WIRES,
    advanced=st.booleans(),
    plain_m105=st.booleans(),
    corrupt=st.floats(0.0, 0.05),
    drop=st.floats(0.0, 0.01),
    lose_ok=st.floats(0.0, 0.02),
    double_ok=st.floats(0.0, 0.01),
    corrupt_reply=st.floats(0.0, 0.01),
    noise=st.floats(0.0, 0.02),
    noise_in=st.floats(0.0, 0.01),
    late=st.floats(0.0, 0.002),
    delay=st.sampled_from([0.0001, 0.001, 0.008]),
    rate=st.sampled_from([0.0, 11520.0, 25000.0]),
    pause=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_nothing_is_lost_repeated_or_reordered(
    seed: int,
    wire: tuple[Chunker, int | None],
    advanced: bool,
    plain_m105: bool,
    corrupt: float,
    drop: float,
    lose_ok: float,
    double_ok: float,
    corrupt_reply: float,
    noise: float,
    noise_in: float,
    late: float,
    delay: float,
    rate: float,
    pause: float,
) -> None:
    plan = FaultPlan(
        seed=seed,
        corrupt=corrupt,
        drop=drop,
        lose_ok=lose_ok,
        double_ok=double_ok,
        corrupt_reply=corrupt_reply,
        noise=noise,
        noise_in=noise_in,
        delay=late,
    )
    chunker, window = wire
    cost = with_pauses(seed, pause) if pause else at_once
    printed(
        120,
        plan,
        advanced=advanced,
        chunker=chunker,
        window=window,
        delay=delay,
        rate=rate,
        cost=cost,
        plain_m105=plain_m105,
    )


@pytest.mark.parametrize("advanced", [False, True], ids=["plain", "advanced"])
@pytest.mark.parametrize(
    ("chunker", "window", "count"), [(whole, None, 30_000), (ragged, 1, 16_000), (single, None, 4_000)]
)
def test_a_hundred_thousand_lines(advanced: bool, chunker: Chunker, window: int | None, count: int) -> None:
    plan = FaultPlan(seed=count, corrupt=0.05, lose_ok=0.02, double_ok=0.01, noise=0.005, corrupt_reply=0.002)
    line = printed(count, plan, advanced=advanced, chunker=chunker, window=window)
    assert line.protocol.stats.resend_requests > count * 0.03


@pytest.mark.parametrize("advanced", [False, True], ids=["plain", "advanced"])
def test_rare_faults_on_a_full_window(advanced: bool) -> None:
    """The window opens, errs, closes and opens again."""
    plan = FaultPlan(seed=5, corrupt=0.0005, lose_ok=0.001, double_ok=0.001)
    line = printed(10_000, plan, advanced=advanced, window=4, rate=25000.0)
    assert line.peak_lines >= 4
    assert line.protocol.stats.lines_resent < 60


@pytest.mark.parametrize("rate", [11520.0, 25000.0])
def test_a_clean_line_is_used_to_the_full(rate: float) -> None:
    """97 % of what the wire can carry, with never more on it than the receive buffer holds."""
    protocol = LineProtocol()
    firmware = BareFirmware(advanced_ok=True, cost=at_once)
    line = SimulatedLine(protocol, firmware, FaultPlan(), chunker=linewise, delay=0.0003, bytes_per_second=rate)
    line.run(moves(300))
    assert protocol.stats.window_lines == 3
    began, before = line.now, protocol.stats.bytes_sent
    done: list[int] = []
    # The session goes on: `run` would shake hands again.
    line.go_on(moves(2000), on_acknowledged=done.append, until=lambda: len(done) >= 2000)
    assert protocol.stats.bytes_sent - before >= 0.97 * rate * (line.now - began)
    assert line.peak_bytes <= 127
    assert firmware.receiver.lost_bytes == 0


@pytest.mark.parametrize("advanced", [False, True], ids=["plain", "advanced"])
def test_a_lost_ok_costs_at_most_two_seconds(advanced: bool) -> None:
    line = printed(2000, FaultPlan(seed=1, lose_ok=0.002), advanced=advanced, window=1)
    assert line.protocol.stats.timeouts >= 1
    assert line.longest_stall <= 2.0


@pytest.mark.parametrize("seed", range(6))
def test_resets_list_exactly_what_was_not_acknowledged(seed: int) -> None:
    """After a reset the job goes on behind the last acknowledged line; nothing acknowledged is missing."""
    commands = moves(400)
    protocol = LineProtocol(window_lines=4)
    firmware = BareFirmware(advanced_ok=True, cost=with_pauses(seed, 0.02))
    resets: list[FirmwareReset] = []
    troubles: list[Event] = []

    def note(event: Event) -> None:
        if isinstance(event, FirmwareReset):
            resets.append(event)
        elif isinstance(event, LinkTrouble):
            troubles.append(event)

    line = SimulatedLine(protocol, firmware, FaultPlan(seed=seed, corrupt=0.02), chunker=whole, on_event=note)
    rng = random.Random(seed)
    reset_after = rng.randrange(20, 300)
    line.run(commands, until=lambda: len(line.acknowledged) >= reset_after)
    acknowledged = len(line.acknowledged)
    executed = len(firmware.executed)
    line.reset_firmware()
    line.go_on(iter(()), until=lambda: bool(resets) and protocol.ready)
    (reset,) = resets
    assert reset.unacknowledged == tuple(range(acknowledged + 1, acknowledged + 1 + len(reset.unacknowledged)))
    assert acknowledged <= executed <= acknowledged + reset.on_wire
    assert [text.decode() for text in firmware.executed[:acknowledged]] == commands[:acknowledged]
    rest = commands[executed:]
    done: list[int] = []
    line.go_on(iter(rest), on_acknowledged=done.append, until=lambda: len(done) >= len(rest))
    assert [text.decode() for text in firmware.executed] == commands
    assert not troubles


@given(
    number=st.integers(0, 9999), command=st.sampled_from(["M110 N0", "M105", "M109 S200", "G1 X1"]), seed=st.integers()
)
def test_faults_make_no_emergency_of_a_line(number: int, command: str, seed: int) -> None:
    """Marlin acts on those before it looks at the checksum: no host could do anything about it."""
    receiver = Receiver(emergency_parser=True)
    assert receiver.feed(change_byte(encode(number, command.encode()), random.Random(seed))) == []


def test_a_line_that_is_hopeless_is_told_and_not_hammered() -> None:
    """Every line is damaged: no progress is possible, but the wire stays almost empty and somebody is told."""
    troubles: list[LinkTrouble] = []

    def note(event: Event) -> None:
        if isinstance(event, LinkTrouble):
            troubles.append(event)

    protocol = LineProtocol()
    firmware = BareFirmware(advanced_ok=False, cost=at_once)
    line = SimulatedLine(protocol, firmware, FaultPlan(), on_event=note)
    line.run(moves(5), until=lambda: len(line.acknowledged) == 2)
    line.damage(FaultPlan(corrupt=1.0))
    before = protocol.stats.lines_sent
    end = line.now + 60.0
    line.go_on(iter(()), until=lambda: line.now >= end)
    assert troubles
    assert all(trouble.recoverable for trouble in troubles)
    assert protocol.stats.lines_sent - before < 200
    line.damage(FaultPlan())
    line.go_on(iter(()), until=lambda: len(line.acknowledged) == 5)
    assert [text.decode() for text in firmware.executed] == moves(5)
