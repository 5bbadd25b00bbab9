"""The virtual Marlin beside the recordings of a real one."""

from __future__ import annotations

import re

import pytest

from moonraker_lite.marlin.identity import parse_m115
from moonraker_lite.marlin.replies import parse_position
from moonraker_lite.marlin.settings_report import parse_setting
from moonraker_lite.marlin.temperature_report import parse_temperatures
from moonraker_lite.marlin.virtual.board import Board
from moonraker_lite.marlin.virtual.card import Card
from moonraker_lite.marlin.virtual.commands import HANDLERS
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults
from moonraker_lite.marlin.virtual.receiver import Receiver
from tests.marlin_line.transcripts import Exchange, blurred, exchanges, needs_transcripts

RUN_TOGETHER = b"N10 G4 P1*93"


class Bench:
    """A board with a clock."""

    def __init__(
        self,
        faults: str = "",
        *,
        speed: float = 0.0,
        advanced: bool = True,
        emergency: bool = True,
        card: Card | None = None,
    ) -> None:
        plan = Faults(FaultPlan.parse(faults))
        self.board = Board(HANDLERS, plan, speed=speed, advanced_ok=advanced, emergency_parser=emergency, card=card)
        self.now = 1000.0
        self.board.power_on(self.now)
        self.banner = self.wait(1.0)

    def says(self) -> list[str]:
        data = self.board.take_output(self.now)
        return [line.rstrip("\r") for line in data.decode("latin-1").split("\n")[:-1]]

    def send(self, *commands: str | bytes) -> list[str]:
        """Feed lines at once; what is said at once."""
        data = b"".join((command if isinstance(command, bytes) else command.encode()) + b"\n" for command in commands)
        self.board.feed(data, self.now)
        return self.says()

    def wait(self, seconds: float) -> list[str]:
        """Time passes; what is said meanwhile."""
        end = self.now + seconds
        said: list[str] = []
        while (deadline := self.board.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.board.advance(self.now)
            said += self.says()
        self.now = end
        self.board.advance(end)
        return said + self.says()

    def executed(self) -> list[str]:
        return [text.decode() for text in self.board.executed]


def joined(dialogue: list[Exchange]) -> list[Exchange]:
    """The recording shows two lines without newline between as two; send them as they were sent."""
    result: list[Exchange] = []
    for exchange in dialogue:
        if result and result[-1].sent == RUN_TOGETHER and not result[-1].replies:
            result[-1] = Exchange(result[-1].sent + exchange.sent, exchange.replies)
        else:
            result.append(exchange)
    return result


@needs_transcripts
@pytest.mark.parametrize(("name", "advanced"), [("07_resend_adv.txt", True), ("07_resend_plain.txt", False)])
def test_numbers_checksums_and_resends_as_recorded(name: str, advanced: bool) -> None:
    bench = Bench(advanced=advanced)
    for exchange in joined(exchanges(name)):
        expected = [blurred(line) for line in exchange.replies if "SD card" not in line]
        got = [blurred(line) for line in bench.send(exchange.sent) + bench.wait(0.1)]
        assert got == expected, exchange.sent


@needs_transcripts
def test_odd_input_as_recorded() -> None:
    bench = Bench()
    for exchange in exchanges("06_errors.txt"):
        if exchange.sent.startswith((b"G28", b"g28")):
            continue
        expected = [blurred(line) for line in exchange.replies if "SD card" not in line]
        got = [blurred(line) for line in bench.send(exchange.sent) + bench.wait(0.3)]
        assert [_rough(line) for line in got] == [_rough(line) for line in expected], exchange.sent


def _rough(line: str) -> str:
    """The recording has a history: moves in the planner, a negative target, a position."""
    for cut in (" P1", " /", "X:"):
        line = line.partition(cut)[0]
    return line


@needs_transcripts
def test_information_commands_as_recorded() -> None:
    """Of the commands that the virtual board knows: the same lines, apart from what the builds have."""
    asked = {
        *("M105", "M114", "M119", "M220", "M220 S150", "M221", "M221 S95", "M118 A1 plain", "M118 E1 echo text"),
        *("M118 P0 //action:notification custom", "M420", "M851", "M206", "M211", "M412", "M301", "M304", "M92"),
        *("M203", "M204", "M205", "M900", "M999", "M110", "M113", "M290", "M290 Z0.05", "M400", "M82", "M83", "G90"),
        *("M503", "M207", "M31", "T1", "M141 S10", "M593", "M906", "M106 S255 P1"),
        *("M413", "M360", "M16 SimPrinter", "G92 E0", "M106 S127", "M107", "M73"),
    }
    bench = Bench()
    compared = 0
    for exchange in exchanges("03_info.txt"):
        command = exchange.sent.decode("latin-1")
        if command not in asked:
            continue
        compared += 1
        expected = [blurred(line) for line in exchange.replies if "SD card" not in line]
        if command == "M73":
            expected = ["echo: M73 Progress: 0%; Time left: 0m;", "ok P15 B3"]
        assert [blurred(line) for line in bench.send(command)] == expected, command
    assert compared > 30


def _nameless(line: str) -> str:
    """The number of a short name comes from a sum over the long one, and lines that were refused are counted."""
    return re.sub(r"~\d+", "~#", blurred(line))


@needs_transcripts
def test_the_card_is_listed_and_written_as_recorded() -> None:
    bench = Bench(speed=1.0, card=Card())
    dialogue = exchanges("10_sd.txt")
    begin = next(index for index, exchange in enumerate(dialogue) if exchange.sent == b"M21")
    compared = 0
    for exchange in dialogue[begin:]:
        if exchange.sent == b"M27 S2":
            break
        if exchange.sent.startswith(b"M33"):
            continue
        compared += 1
        expected = [_nameless(line) for line in exchange.replies]
        assert [_nameless(line) for line in bench.send(exchange.sent)] == expected, exchange.sent
    assert compared > 90


@needs_transcripts
def test_what_is_not_on_the_card_as_recorded() -> None:
    card = Card()
    for name in (b"long.gco", b"short.gco"):
        card.create(name).data = b"G4 S1\nM118 E1 hi\n\n"
    bench = Bench(card=card)
    dialogue = exchanges("10b_sd_abort_errors.txt")
    asked = {"M23 nope.gco", "M30 long.gco", "M30 nope.gco", "M22", "M20", "M23 short.gco", "M27", "M21"}
    begin = next(index for index, exchange in enumerate(dialogue) if exchange.sent == b"M23 nope.gco")
    for exchange in dialogue[begin:]:
        command = exchange.sent.decode()
        if command.startswith("M928"):
            break
        if command not in asked:
            continue
        expected = [line for line in exchange.replies if "Now fresh" not in line]
        assert [line for line in bench.send(command) if "Now fresh" not in line] == expected, command


def test_the_answer_of_an_abort_goes_with_the_queue() -> None:
    card = Card()
    card.create(b"a.gco").data = b"G28\n" + b"G1 X100 F6000\nG1 X0\n" * 30
    bench = Bench(speed=1.0, card=card)
    bench.send("M23 a.gco", "M24")
    bench.wait(30.0)
    assert not [line for line in bench.send("M524") + bench.wait(10.0) if line.startswith("ok")]
    assert bench.send("M27") == ["Not SD printing", "ok P15 B3"]
    assert bench.send("M524") == ["ok P15 B3"]


@needs_transcripts
def test_full_planner_as_recorded() -> None:
    """Fifteen moves are taken at once, the sixteenth when a block is done; the window of oks is the recorded one."""
    recorded = next(exchange for exchange in exchanges("12_flow_adv.txt") if exchange.sent.count(b"\n") > 30)
    bench = Bench(speed=1.0)
    said: list[str] = []
    rest = recorded.sent + b"\n"
    while rest:
        room = bench.board.room
        bench.board.feed(rest[:room], bench.now)
        rest = rest[room:]
        said += bench.says()
        if not room:
            said += bench.wait(0.05)
    said += bench.wait(30.0)
    oks = [line for line in said if line.startswith("ok")]
    planner = [line.split()[1] for line in oks]
    assert len(oks) == len([line for line in recorded.replies if line.startswith("ok")])
    # The recorded first move was of no length: it took no block.
    assert planner[:15] == [f"P{free}" for free in range(14, -1, -1)]
    assert set(planner[15:]) == {"P0"}


def test_overrun_as_recorded() -> None:
    """What does not fit is lost without a word; the next line shows it."""
    bench = Bench("overrun", speed=1.0)
    bench.send("M110 N0")
    receiver = Receiver()
    receiver.feed(b"x" * 200)
    assert receiver.lost_bytes == 72
    lines = [f"N{number} G1 X{10 + number % 2 * 100} F600" for number in range(1, 61)]
    data = b"".join(b"%b*%d\n" % (line.encode(), _xor(line)) for line in lines)
    bench.board.feed(data[:100], bench.now)
    for at in range(100, len(data), 100):
        bench.board.feed(data[at : at + 100], bench.now)
    bench.wait(200.0)
    executed = len(bench.executed())
    assert 15 < executed < 60
    assert bench.board.receiver.lost_bytes > 500
    said = bench.send("M105")
    assert said[0].startswith("Error:")
    assert said[1] == f"Resend: {executed}"


def _xor(line: str) -> int:
    value = 0
    for byte in line.encode():
        value ^= byte
    return value


def test_banner_and_m115() -> None:
    bench = Bench()
    assert bench.banner[0] == "start"
    said = bench.send("M115")
    info = parse_m115(said[0])
    assert info is not None
    assert info.name.startswith("Marlin")
    assert (info.machine, info.extruders) == ("Virtual Marlin", 1)
    assert "Cap:EMERGENCY_PARSER:1" in said
    assert said[-2].startswith("area:{full:")
    assert said[-1] == "ok P15 B3"


def test_heating_takes_its_time_and_reports() -> None:
    bench = Bench(speed=1.0)
    said = bench.send("M109 S121")
    assert said == [" T:21.00 /121.00 B:21.00 /0.00 @:127 B@:0 W:?"]
    said = bench.wait(40.0)
    reports = [parsed for line in said if (parsed := parse_temperatures(line)) is not None]
    assert all(report.waiting for report in reports)
    assert [report.seconds_left for report in reports][-3:] == [2, 1, 0]
    assert said.count("echo:busy: processing") == 14
    assert said[-1].startswith("ok P15 B3")
    temperatures = [report.heaters["T"].actual for report in reports]
    assert temperatures == sorted(temperatures)
    assert bench.send("M105")[0].startswith("ok T:121.00 /121.00")


def test_m108_ends_a_heating_and_has_its_own_ok() -> None:
    bench = Bench(speed=1.0)
    bench.send("M109 S200")
    bench.wait(2.0)
    assert [line[:6] for line in bench.send("M108")] == ["ok P15", "ok P15"]
    assert "/200.00" in bench.send("M105")[0]


def test_queued_commands_wait_for_a_blocking_one() -> None:
    bench = Bench(speed=1.0)
    assert bench.send("G4 S3", "M105", "M114") == ["//action:notification Sleep..."]
    said = bench.wait(5.0)
    assert said[0] == "echo:busy: processing"
    assert [line.split()[0] for line in said[1:]] == ["ok", "ok", "X:0.00", "ok"]


def test_keepalive_can_be_switched_off() -> None:
    bench = Bench(speed=1.0)
    bench.send("M113 S0")
    bench.send("G4 S5")
    assert bench.wait(6.0) == ["ok P15 B3"]


def test_automatic_reports() -> None:
    bench = Bench(speed=1.0)
    bench.send("M155 S1", "M154 S2")
    said = bench.wait(4.5)
    assert len([line for line in said if parse_temperatures(line)]) == 4
    assert len([line for line in said if parse_position(line)]) == 2
    bench.send("M155 S0", "M154 S0")
    assert bench.wait(10.0) == []
    assert bench.board.next_deadline() is None


def test_moves_modes_and_positions() -> None:
    bench = Bench(speed=1.0)
    bench.send("G28")
    bench.wait(60.0)
    bench.send("G1 X10 Y20 Z5 F6000", "G91", "G1 X5", "G90", "G92 E3", "M83")
    assert bench.send("M114")[0] == "X:15.00 Y:20.00 Z:5.00 E:3.00 Count X:1200 Y:1600 Z:2000"
    bench.send("G1 X500")
    assert bench.send("M114")[0].startswith("X:200.00 ")
    assert bench.send("G1 E5 F300")[0] == "echo: cold extrusion prevented"
    bench.send("G1X10Y10F3000", "G2 X20 Y10 I5 J0", "G3 X10 Y10 I-5 J0")
    assert bench.send("M400") == []
    assert bench.wait(30.0)[-1] == "ok P15 B3"


def test_quick_stop() -> None:
    bench = Bench(speed=1.0)
    bench.send("G1 X150 F60", "G1 X0 F60")
    bench.send("M400")
    bench.wait(2.5)
    assert bench.board.motion.ends
    bench.send("M410")
    assert not bench.board.motion.ends
    assert bench.wait(1.1).count("ok P15 B3") >= 1


def test_mesh_and_levelling() -> None:
    bench = Bench(speed=0.0)
    assert bench.send("G29")[0] == "echo:Home XYZ First"
    bench.send("G28")
    said = bench.send("G29")
    assert said[0] == "Bilinear Leveling Grid:"
    assert len([line for line in said if line.startswith(" ") and line.count(".") == 5]) == 5
    assert bench.send("M420")[0] == "echo:Bed Leveling ON"
    assert bench.send("M420 S0 Z5")[:2] == ["echo:Bed Leveling OFF", "echo:Fade Height 5.00"]
    assert len([line for line in bench.send("G29 V4") if line.startswith("Bed X:")]) == 25


def test_settings_change_and_are_listed() -> None:
    bench = Bench()
    bench.send("M92 X100", "M203 Z15", "M851 Z-1.2", "M301 P20", "M900 K0.05", "M220 S50", "M221 S90")
    said = bench.send("M503 S0")
    settings = {parsed.command: parsed.values for line in said if (parsed := parse_setting(line)) is not None}
    assert settings["M92"]["X"] == 100.0
    assert settings["M203"]["Z"] == 15.0
    assert settings["M851"]["Z"] == -1.2
    assert settings["M900"]["K"] == 0.05
    assert not any(line.startswith("echo:;") for line in said)
    assert any(line.startswith("echo:; Steps per unit") for line in bench.send("M503"))
    bench.send("M502")
    assert bench.board.values["M92"]["X"] == 80.0


def test_a_prompt_is_answered_by_m876() -> None:
    bench = Bench(speed=1.0)
    said = bench.send("M0 Click to go on")
    assert said == [
        "echo:Click to go on",
        "//action:prompt_end",
        "//action:prompt_begin Click to go on",
        "//action:prompt_button Continue",
        "//action:prompt_show",
    ]
    assert bench.wait(2.1) == ["echo:busy: paused for user"]
    assert bench.send("M876 S0") == ["ok P15 B3", "ok P15 B3"]
    bench.send("M1 S3")
    assert bench.wait(4.0)[-1] == "ok P15 B3"


def prompts(said: list[str]) -> list[str]:
    return [line.removeprefix("//action:prompt_") for line in said if line.startswith("//action:prompt_")]


PURGE = ["end", "begin Paused", "button PurgeMore", "button Continue", "show"]


def test_filament_change_needs_two_answers() -> None:
    bench = Bench(speed=100.0)
    assert bench.send("M600") == ["//action:paused"]
    said = bench.wait(0.3)
    assert "echo:Insert filament and send M108" in said
    assert prompts(said) == ["end", "begin Nozzle Parked", "button Continue", "show"]
    assert prompts(bench.send("M108") + bench.wait(0.3)) == PURGE
    assert prompts(bench.send("M108") + bench.wait(0.3)) == []
    assert prompts(bench.send("M876 S0") + bench.wait(0.3)) == PURGE
    said = bench.send("M876 S1") + bench.wait(0.3)
    assert prompts(said) == ["end", "end", "begin Resuming", "button Dismiss", "show"]
    assert "//action:resumed" in said


def test_who_lets_a_parked_nozzle_wait_must_reheat_it() -> None:
    bench = Bench(speed=100.0)
    assert prompts(bench.send("M125")) == ["end", "begin Pause", "button Dismiss", "show"]
    assert prompts(bench.wait(0.6))[-4:] == ["end", "begin Heater Timeout", "button Reheat", "show"]
    said = prompts(bench.send("M876 S0") + bench.wait(0.1))
    assert said == ["end", "begin Reheating...", "show", "end", "begin Reheat Done", "button Continue", "show"]
    assert prompts(bench.send("M108") + bench.wait(0.1)) == PURGE


@pytest.mark.parametrize("emergency", [True, False])
def test_m112_kills_until_reset(emergency: bool) -> None:
    bench = Bench(speed=1.0, emergency=emergency)
    bench.send("M109 S200")
    bench.wait(1.0)
    assert bench.send("N5 M112*4" if emergency else "M112") == [
        "echo:M112 Shutdown",
        "Error:Printer halted. kill() called!",
        "//action:poweroff",
    ]
    assert bench.send("M105", "M999") == []
    assert bench.wait(100.0) == []
    bench.board.power_on(bench.now)
    assert bench.wait(1.0)[0] == "start"
    assert bench.send("M105")[0].startswith("ok T:")


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("runaway_at=3", "Error:Thermal Runaway, system stopped! Heater_ID: E0"),
        ("kill_at=3", "echo:Homing Failed"),
        ("reset_at=3", "start"),
    ],
)
def test_faults_at_a_given_command(fault: str, line: str) -> None:
    bench = Bench(fault)
    assert line not in bench.send("G1 X1", "G1 X2")
    assert line in bench.send("G1 X3")
    assert bench.board.executed_count == 3


def test_faults_are_repeatable() -> None:
    def run() -> list[str]:
        bench = Bench("seed=7,corrupt=0.2,lose_ok=0.1,double_ok=0.1,noise=0.1,drop=0.1,delay=0.1")
        return [line for index in range(200) for line in bench.send(f"G1 X{index}") + bench.wait(0.3)]

    first = run()
    assert first == run()
    assert len([line for line in first if line == "ok P15 B3"]) != 200


@pytest.mark.parametrize("text", ["corrupt", "corrupt=2", "corrupt=x", "fire=1", "seed=1.5", "=", "corrupt=-0.1"])
def test_wrong_faults_are_explained(text: str) -> None:
    with pytest.raises(ValueError, match="names are"):
        FaultPlan.parse(text)


def test_fault_plans() -> None:
    assert FaultPlan.parse("") == FaultPlan()
    assert FaultPlan.parse(" seed=3, corrupt=0.5 ,overrun") == FaultPlan(seed=3, corrupt=0.5, overrun=True)


def test_without_advanced_ok_and_with_wait() -> None:
    board = Board(HANDLERS, Faults(FaultPlan()), speed=1.0, advanced_ok=False, sends_wait=True)
    board.power_on(0.0)
    board.advance(0.5)
    board.take_output(0.5)
    board.feed(b"G1 X1\n", 0.6)
    assert board.take_output(0.6) == b"ok\n"
    assert board.next_deadline() == 1.6
    board.advance(1.6)
    assert board.take_output(1.6) == b"wait\n"
