"""What commands mean for position, modes and filament."""

from __future__ import annotations

import pytest

from moonraker_lite.marlin.gcode.motion import Modes, Motion


def after(*lines: str) -> Motion:
    motion = Motion()
    for line in lines:
        motion.observe_line(line)
    return motion


@pytest.mark.parametrize(
    ("lines", "position"),
    [
        (["G1 X10 Y20 Z0.3 F3000"], [10.0, 20.0, 0.3, 0.0]),
        (["G1 F3000 X10"], [10.0, 0.0, 0.0, 0.0]),
        (["G1 Y5 X10 E2"], [10.0, 5.0, 0.0, 2.0]),
        (["G91", "G1 X10 E1", "G1 X-3 E1"], [7.0, 0.0, 0.0, 2.0]),
        (["G91", "G1 X+10 F6000"], [10.0, 0.0, 0.0, 0.0]),
        (["G1 X10", "G92 X0 E5", "G1 E6"], [0.0, 0.0, 0.0, 6.0]),
        (["G1 X10", "G92"], [0.0, 0.0, 0.0, 0.0]),
        (["G20", "G1 X1"], [25.4, 0.0, 0.0, 0.0]),
        (["G1 X10 Y10", "G28 X"], [0.0, 10.0, 0.0, 0.0]),
        (["G2 X5 Y5 I1 J1 E0.5"], [5.0, 5.0, 0.0, 0.5]),
        (["G0X10Y5"], [10.0, 5.0, 0.0, 0.0]),
        (["G1 X1. Y.5"], [1.0, 0.5, 0.0, 0.0]),
    ],
)
def test_positions(lines: list[str], position: list[float]) -> None:
    assert after(*lines).position == pytest.approx(position)


def test_marlin_2_sets_the_extruders_mode_with_g90_and_marlin_1_does_not() -> None:
    assert after("M83", "G90").absolute_e
    motion = Motion()
    motion.g90_sets_extruder = False
    motion.observe_line("M83")
    motion.observe_line("G90")
    assert not motion.absolute_e


def test_filament_counts_retractions_and_survives_g92() -> None:
    motion = after("M82", "G1 E5", "G1 E3")
    assert (motion.filament, motion.retracted) == (3.0, 2.0)
    motion.observe_line("G92 E0")
    motion.observe_line("G1 X1 E2")
    assert (motion.filament, motion.retracted) == (5.0, 0.0)


def test_factors_fans_tools_homing() -> None:
    motion = after("M220 S150", "M221 S95", "M106 S128", "M106 P1", "T1", "G28 X Y", "M290 Z0.05")
    assert (motion.speed_factor, motion.extrude_factor, motion.tool, motion.homed) == (1.5, 0.95, 1, "xy")
    assert motion.fans == {0: pytest.approx(128 / 255), 1: 1.0}
    assert motion.babystep == pytest.approx(0.05)
    motion.observe_line("M107")
    motion.observe_line("M84 X")
    assert (motion.fans[0], motion.homed) == (0.0, "y")
    motion.observe_line("M84 S60")
    assert motion.homed == "y"


def test_power_on_forgets_all_but_the_filament() -> None:
    motion = after("G28", "G91", "M83", "G1 X5 E5")
    motion.power_on()
    assert (motion.absolute, motion.absolute_e, motion.homed, motion.position) == (True, True, "", [0.0, 0.0, 0.0, 0.0])
    assert motion.filament == 5.0


async def restored(saved: Modes, motion: Motion, *, move: bool) -> list[str]:
    sent: list[str] = []

    async def send(line: str) -> None:
        sent.append(line)
        motion.observe_line(line)

    await saved.restore(motion, send, move=move)
    return sent


async def test_a_jog_is_undone_in_its_modes_only() -> None:
    motion = after("G28", "M82", "G1 X10 Y10 F1800", "G1 E5")
    saved = Modes(motion)
    for line in ("G91", "G1 X+10 F6000"):
        motion.observe_line(line)
    assert await restored(saved, motion, move=False) == ["G90", "G1 F1800"]
    assert motion.position[0] == 20.0


async def test_an_extrusion_by_hand_leaves_the_absolute_e_of_the_print() -> None:
    motion = after("G28", "M82", "G1 X10 E5 F1800")
    saved = Modes(motion)
    for line in ("M83", "G1 E50 F300"):
        motion.observe_line(line)
    assert await restored(saved, motion, move=False) == ["M82", "G92 E5.00000", "G1 F1800"]


async def test_moving_back_goes_down_last() -> None:
    motion = after("G28", "G1 X10 Y10 Z1 F1800", "M83")
    saved = Modes(motion)
    for line in ("G91", "G1 Z10", "G90", "G1 X0 Y200"):
        motion.observe_line(line)
    sent = await restored(saved, motion, move=True)
    assert sent == ["G0 X10.000 Y10.000 F3000", "G0 Z1.000 F3000", "M83", "G1 F1800"]


async def test_nothing_changed_nothing_sent() -> None:
    motion = after("G28", "G1 X10 F1800")
    assert await restored(Modes(motion), motion, move=True) == []
