"""The firmwares that the virtual Marlin plays: what they say is what the real ones say, and our parsers know it."""

from __future__ import annotations

import pytest

from moonraker_lite.marlin.mesh import Mesh
from moonraker_lite.marlin.temperature_report import parse_temperatures
from moonraker_lite.marlin.virtual.board import Board
from moonraker_lite.marlin.virtual.commands import HANDLERS
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults
from moonraker_lite.marlin.virtual.meshes import POINTS, height
from moonraker_lite.marlin.virtual.personality import PERSONALITIES, personality_of
from tests.marlin_line.transcripts import exchanges, needs_transcripts


class Bench:
    """A board that does everything at once."""

    def __init__(self, name: str) -> None:
        self.board = Board(HANDLERS, Faults(FaultPlan()), speed=0.0, personality=personality_of(name))
        self.now = 1000.0
        self.board.power_on(self.now)
        self.now += 1.0
        self.board.advance(self.now)
        self.board.take_output(self.now)

    def send(self, *commands: str) -> list[str]:
        said: list[str] = []
        for command in commands:
            self.board.feed(command.encode() + b"\n", self.now)
            said += self._says()
            for _ in range(200):
                if (deadline := self.board.next_deadline()) is None:
                    break
                self.now = max(deadline, self.now)
                self.board.advance(self.now)
                said += self._says()
        return said

    def _says(self) -> list[str]:
        return self.board.take_output(self.now).decode().replace("\r", "").split("\n")[:-1]


@pytest.mark.parametrize("name", PERSONALITIES)
def test_each_has_a_mesh_that_is_understood(name: str) -> None:
    bench = Bench(name)
    expected = [[height(column, row) for column in range(POINTS)] for row in range(POINTS)]
    mesh = Mesh()
    mesh.reader.measured_from_top = name == "prusa-mk3"
    bench.send("G28", "G80", "G29 P1")
    for line in bench.send("G81" if name == "prusa-mk3" else "M420 V"):
        if line.startswith("ok"):
            mesh.answer_ends()
        else:
            mesh.read_line(line)
    if name == "creality":
        assert mesh.points == []
        return
    assert mesh.points == [[pytest.approx(value, abs=0.005) for value in row] for row in expected]
    if name == "marlin-2.1-ubl":
        assert (mesh.minimum, mesh.maximum) == ((1.0, 1.0), (199.0, 199.0))
        assert not mesh.active


@pytest.mark.parametrize("name", PERSONALITIES)
def test_what_m500_stores_outlives_a_reset(name: str) -> None:
    bench = Bench(name)
    bench.send("M92 X91", "M301 P30", "M500", "M92 Y92")
    bench.board.power_on(bench.now)
    assert bench.board.values["M92"]["X"] == 91.0
    assert bench.board.values["M92"]["Y"] != 92.0
    assert bench.board.values["M301"]["P"] == 30.0
    bench.now += 1.0
    bench.send("M502")
    assert bench.board.values == bench.board.who.settings
    bench.send("M501")
    assert bench.board.values["M92"]["X"] == 91.0


def test_two_hotends_and_a_chamber() -> None:
    bench = Bench("marlin-2.1-dual")
    assert bench.send("M104 T1 S200", "M141 S50", "T1")[-2:] == ["echo:Active Extruder: 1", "ok P15 B3"]
    (said,) = bench.send("M105")
    report = parse_temperatures(said)
    assert report is not None
    targets = {key: reading.target for key, reading in report.heaters.items()}
    assert targets == {"T": 200.0, "B": 0.0, "C": 50.0, "T0": 0.0, "T1": 200.0}
    assert said.startswith("ok T:200.00 /200.00 B:21.00 /0.00 C:50.00 /50.00 T0:21.00 /0.00 T1:200.00 /200.00 @:")
    assert bench.send("T2")[0] == "echo:T2 Invalid extruder"
    assert bench.send("M106 P1 S20")[0] == "M106 P1 S20"
    assert bench.send("M106 P2 S20") == ["ok P15 B3"]
    bench.send("M301 E1 P9", "M593 Y F30", "M218 T1 X25")
    settings = bench.send("M503 S0")
    assert "  M301 E0 P22.20 I1.08 D114.00" in settings
    assert "  M301 E1 P9.00 I1.00 D100.00" in settings
    assert "  M593 Y F30.00 D0.15" in settings
    assert "  M218 T1 X25.00 Y0.00 Z0.00" in settings


def test_prusa_says_it_in_its_own_way() -> None:
    bench = Bench("prusa-mk3")
    assert bench.send("G81")[0] == "Mesh bed leveling not active."
    assert bench.send("M114")[0] == "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X: 0.00 Y:0.00 Z:0.00 E:0.00"
    assert bench.send("M211")[0] == "echo:Unknown M code: M211"
    assert bench.send("M105") == ["ok T:21.00 /0.00 B:21.00 /0.00 T0:21.00 /0.00 @:0 B@:0 P:29.0 A:33.4"]
    assert "echo:Steps per unit:" in bench.send("M503")
    assert not any("filament" in line for line in bench.send("M119"))


def test_the_filament_sensor() -> None:
    bench = Bench("")
    assert "filament: TRIGGERED" in bench.send("M119")
    bench.board.filament_present = False
    assert "filament: open" in bench.send("M119")


def test_an_unknown_name_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"marlin-2.1, marlin-2.1-ubl"):
        personality_of("marlin-9")


@needs_transcripts
def test_ubl_as_recorded() -> None:
    bench = Bench("marlin-2.1-ubl")
    recorded = {exchange.sent.decode(): exchange.replies for exchange in reversed(exchanges("15_ubl.txt"))}
    assert bench.send("M503") == recorded["M503"]
    for command in ("G29 S1", "G29 L1", "G29 A"):
        assert [line for line in bench.send(command) if line] == [line for line in recorded[command] if line]
    for command in ("M420 V", "M420 V1 T1", "G29 T"):
        ours, theirs = ({_form(line) for line in lines} for lines in (bench.send(command), recorded[command]))
        assert ours == theirs, command


def _form(line: str) -> str:
    """A line without its numbers and widths, which differ with the size of the mesh and the place of the nozzle."""
    plain = "".join("0" if letter.isdigit() else letter for letter in line if letter not in "-+[],").replace(
        "OFF", "ON"
    )
    while "00" in plain:
        plain = plain.replace("00", "0")
    return " ".join(dict.fromkeys(plain.split()))
