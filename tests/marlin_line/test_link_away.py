"""The link goes away in the middle of a print and comes back: nothing is lost, nothing is executed twice."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Connected,
    Event,
    FirmwareReset,
    LineProtocol,
    LinkTrouble,
    Resumed,
    State,
)
from moonraker_lite.marlin.virtual.faults import FaultPlan
from moonraker_lite.marlin.virtual.wire import BareFirmware, Chunker, SimulatedLine, ragged, single, whole
from tests.marlin_line.dialogue import TEMPERATURES, Dialogue


def reached(line: SimulatedLine, goal: int) -> bool:
    return len(line.acknowledged) >= goal


WIRES = st.sampled_from([(whole, None), (whole, 4), (single, None), (single, 4), (ragged, 1)])


def moves(count: int) -> list[str]:
    return [f"G1 X{index % 200}.{index % 10} Y{index % 190} E{index / 10:.3f}" for index in range(count)]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    wire=WIRES,
    advanced=st.booleans(),
    plain_m105=st.booleans(),
    corrupt=st.floats(0.0, 0.05),
    lose_ok=st.floats(0.0, 0.02),
    double_ok=st.floats(0.0, 0.01),
    pause=st.sampled_from([0.0, 0.02, 0.3]),
    cuts=st.lists(st.tuples(st.integers(1, 60), st.floats(0.0, 30.0)), min_size=1, max_size=5),
)
def test_the_print_goes_on_where_it_was(
    seed: int,
    wire: tuple[Chunker, int | None],
    advanced: bool,
    plain_m105: bool,
    corrupt: float,
    lose_ok: float,
    double_ok: float,
    pause: float,
    cuts: list[tuple[int, float]],
) -> None:
    chunker, window = wire
    rng = random.Random(seed)
    commands = moves(150)
    happened: list[Event] = []
    protocol = LineProtocol(window_lines=window)
    firmware = BareFirmware(
        advanced_ok=advanced,
        cost=lambda _: rng.random() * pause if rng.random() < 0.2 else 0.0,
        plain_m105=plain_m105,
    )
    plan = FaultPlan(seed=seed, corrupt=corrupt, lose_ok=lose_ok, double_ok=double_ok)
    line = SimulatedLine(protocol, firmware, plan, chunker=chunker, on_event=happened.append)
    source = iter(commands)
    line.run(source, until=lambda: protocol.ready)
    goal = 0
    for after, away in cuts:
        goal = min(goal + after, len(commands))
        line.go_on(source, until=partial(reached, line, goal))
        line.cut_link(away)
        line.go_on(source, until=lambda: protocol.ready)
    line.go_on(source, until=lambda: len(line.acknowledged) == len(commands))
    line.go_on(iter(()))
    assert [text.decode() for text in firmware.executed] == commands
    assert line.acknowledged == list(range(1, len(commands) + 1))
    assert not [event for event in happened if isinstance(event, FirmwareReset | LinkTrouble)]
    assert len([event for event in happened if isinstance(event, Connected)]) == 1
    assert len([event for event in happened if isinstance(event, Resumed)]) == len(cuts)


@pytest.mark.parametrize("banner", [True, False], ids=["banner", "banner lost"])
@pytest.mark.parametrize("seed", range(5))
def test_a_board_that_was_reset_meanwhile_is_recognised(seed: int, banner: bool) -> None:
    """Nothing of the print is sent to it, not even where its `start` was lost."""
    happened: list[Event] = []
    protocol = LineProtocol(window_lines=4)
    firmware = BareFirmware(advanced_ok=bool(seed % 2), cost=lambda _: 0.001)
    line = SimulatedLine(protocol, firmware, FaultPlan(seed=seed), on_event=happened.append)
    source = iter(moves(100))
    line.run(source, until=lambda: len(line.acknowledged) >= 2 + seed * 5)
    line.cut_link(3.0)
    executed = len(firmware.executed)
    started = firmware.boot()
    if banner:
        line.go_on(iter(()), until=lambda: protocol.state is State.RESUMING)
        line._reply(started)
    line.go_on(iter(()), until=lambda: protocol.ready)
    assert len(firmware.executed) - executed <= 4
    (reset,) = (event for event in happened if isinstance(event, FirmwareReset))
    assert reset.on_wire <= 8
    assert not [event for event in happened if isinstance(event, Resumed)]
    assert happened[-1] == Connected()


def suspended() -> Dialogue:
    dialogue = Dialogue.running()
    dialogue.send("G1 X1", "G1 X2")
    dialogue.wire()
    assert dialogue.protocol.suspend()
    return dialogue


def resume(dialogue: Dialogue) -> None:
    dialogue.protocol.resume(dialogue.now)
    dialogue._pump()


def test_everything_had_arrived() -> None:
    dialogue = suspended()
    assert dialogue.wait(1000) == []
    assert dialogue.protocol.can_accept() == 0
    resume(dialogue)
    assert dialogue.wire() == ["", "N3 M105*36"]
    assert not dialogue.protocol.ready
    dialogue.says(TEMPERATURES)
    assert dialogue.events[-2:] == [Acknowledged(1), Resumed()]
    assert dialogue.wire() == ["N4 G1 X2*102"]


def test_the_last_line_was_lost() -> None:
    dialogue = suspended()
    resume(dialogue)
    dialogue.wire()
    dialogue.says("Error:Line Number is not Last Line Number+1, Last Line: 1", "Resend: 2", "ok")
    assert Resumed() in dialogue.events
    dialogue.wait(0.3)
    assert dialogue.wire()[0] == "N2 G1 X1*99"
    assert dialogue.acknowledged == []


def test_a_board_in_the_middle_of_something_is_waited_for() -> None:
    dialogue = Dialogue.running()
    dialogue.send("M109 S200", "G1 X2")
    dialogue.wire()
    assert dialogue.protocol.suspend()
    resume(dialogue)
    for _ in range(100):
        dialogue.says(" T:20.9 /200.0 B:21.0 /0.0 @:127 B@:0 W:?")
        dialogue.wait(1.0)
    assert dialogue.wire() == ["", "N3 M105*36"]
    assert not dialogue.protocol.ready
    dialogue.says("ok", TEMPERATURES)
    assert dialogue.protocol.ready
    assert dialogue.acknowledged == [1]


def test_the_answer_is_lost_and_asked_for_again() -> None:
    dialogue = suspended()
    resume(dialogue)
    dialogue.wire()
    dialogue.wait(3.0)
    assert set(dialogue.commands()) == {"M105"}
    dialogue.says(TEMPERATURES)
    assert Resumed() in dialogue.events


def test_noise_is_no_answer() -> None:
    dialogue = suspended()
    resume(dialogue)
    dialogue.says("", "wait", " T:21.0 /0.0", b"\xff\x80", "echo:busy: processing", "Resend: 777")
    assert dialogue.protocol.state is State.RESUMING


def test_it_goes_away_again_while_asking() -> None:
    dialogue = suspended()
    for _ in range(3):
        resume(dialogue)
        dialogue.wire()
        assert dialogue.protocol.suspend()
        assert dialogue.protocol.suspend()
    resume(dialogue)
    assert dialogue.commands() == ["", "M105"]
    dialogue.says(TEMPERATURES)
    assert dialogue.acknowledged == [1]


def test_only_a_session_can_be_kept() -> None:
    dialogue = Dialogue()
    assert not dialogue.protocol.suspend()
    dialogue.open()
    assert not dialogue.protocol.suspend()
    with pytest.raises(ValueError, match="suspended"):
        dialogue.protocol.resume(dialogue.now)
    dialogue = suspended()
    assert dialogue.protocol.disconnected() == (1, 2)
    assert not dialogue.protocol.suspend()


def test_a_halted_board_tells_so() -> None:
    dialogue = suspended()
    resume(dialogue)
    dialogue.says("Error:Printer halted. kill() called!")
    assert dialogue.protocol.state is State.HALTED
