"""The line to a Marlin board: lines per second and CPU per line over a pty, a wire of a given speed, and a bad one.

At the other end is `firmware.c`, so fast that it does not matter. The same file goes to OctoPrint over the same pty.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from bench.goals import OCTOPRINT, OURS
from bench.http_client import HttpClient, call_bytes
from bench.line_rig import PATIENCE, Firmware, Run, compile_firmware, printer
from bench.loader import http_whole, run_calls
from bench.octoprint import OctoPrint, octoprint
from bench.readings import cpu_seconds
from bench.report import Report
from bench.servers import running
from bench.subjects import Subject

FAULTS = {
    "damaged": ("--corrupt", "0.05", "--double", "0.01"),
    "lost": ("--lose", "1000,2500,4000"),
}
LONG = 40_000
SHORT = 5_000
LINE_BYTES = 37
"""Of a move of ours on the wire, about."""
WIRE_SECONDS = 10.0
SLICES = 5
WARM_UP_SECONDS = 4.0
CLIENTS = 50
HAMMER_SECONDS = 3.0
MARLIN = "\n[printer]\ntype: marlin\nserial: {tty}\nbaud: 115200\n"
STATUS = "/printer/objects/query?print_stats&virtual_sdcard&toolhead&extruder"


def write_moves(path: Path, count: int) -> list[str]:
    """A file of moves of the usual length; no two neighbours are alike."""
    moves = [f"G1 X{i % 200}.{i % 10}23 Y{i % 190}.5 E{i / 100:.4f}" for i in range(count)]
    path.write_text("\n".join(moves) + "\n")
    return moves


def measure_line(report: Report, subject: Subject, rig: Path, rounds: int, *, beside_octoprint: bool) -> None:
    """Everything that has to do with the line."""
    rig.mkdir(parents=True)
    program = compile_firmware(rig)
    _measure_rates(report, program, rig, rounds, beside_octoprint)
    for baud in (115200, 250000):
        for kind in ("plain", "advanced"):
            for run in _wire(report, program, rig, baud, kind):
                report.add(f"wire_{baud}_{kind}", OURS, run.wire_share * 100.0)
        for run in _wire(report, program, rig, baud, "advanced", moving=True):
            report.add("wire_starved", OURS, float(run.starved))
    for kind, options in FAULTS.items():
        _measure_faults(report, program, rig, kind, options, beside_octoprint)
    _measure_hammered(report, program, subject, rig / "hammered", rounds)


def _measure_rates(report: Report, program: Path, rig: Path, rounds: int, beside_octoprint: bool) -> None:
    """Lines per second and CPU of each, in turn."""
    path = rig / "long.gcode"
    write_moves(path, LONG)
    with contextlib.ExitStack() as stack:
        firmware = stack.enter_context(contextlib.closing(Firmware(program, rig / "tty")))
        other = stack.enter_context(octoprint(rig / "octoprint", firmware.tty)) if beside_octoprint else None
        for number in range(rounds):
            with printer(program, rig / f"rate{number}") as (own, process):
                own.count()
                before = cpu_seconds(process.pid)
                process.print_file(path, PATIENCE)
                _add_rate(report, OURS, own.count(), cpu_seconds(process.pid) - before)
            if other is not None:
                other.connect()
                firmware.count()
                before = cpu_seconds(other.pid)
                other.print_file(path, PATIENCE)
                _add_rate(report, OCTOPRINT, firmware.count(), cpu_seconds(other.pid) - before)
                other.disconnect()


def _add_rate(report: Report, name: str, run: Run, cpu: float) -> None:
    report.add("line_rate", name, (run.moves - 1) / run.seconds)
    report.add("line_cpu", name, cpu / run.lines * 1e6)


def _wire(report: Report, program: Path, rig: Path, baud: int, kind: str, *, moving: bool = False) -> list[Run]:
    """Print on a wire of that speed, with a firmware that takes 0.2 ms for a command; several slices of one print, from
    when the line has shown that it is clean. `moving`: each move takes 5 % longer than its line, so that whoever keeps
    the planner filled never lets it run empty."""
    path = rig / f"wire{baud}.gcode"
    write_moves(path, int(2 * (WARM_UP_SECONDS + WIRE_SECONDS) * baud / 10 / LINE_BYTES))
    options = ["--baud", str(baud), "--parse", "0.0002"]
    if kind == "advanced":
        options.append("--advanced")
    if moving:
        options += ["--move", f"{1.05 * LINE_BYTES * 10 / baud:.6f}"]
    with printer(program, rig / f"wire{baud}{kind}{moving}", *options) as (firmware, process):
        process.start_print(path)
        time.sleep(WARM_UP_SECONDS)
        runs = [firmware.count()]
        for _ in range(SLICES):
            time.sleep(WIRE_SECONDS / SLICES)
            runs.append(firmware.count())
    report.add("wire_lost", OURS, float(sum(run.lost_bytes for run in runs)))
    return runs[1:]


def _measure_faults(
    report: Report, program: Path, rig: Path, kind: str, options: tuple[str, ...], beside_octoprint: bool
) -> None:
    """The same faults for both; what was executed must be the file."""
    path = rig / "short.gcode"
    moves = write_moves(path, SHORT)
    record = rig / f"{kind}.executed"
    with printer(program, rig / kind, *options, "--record", str(record)) as (firmware, process):
        process.print_file(path, PATIENCE)
        run = firmware.count()
    _check(record, moves, OURS)
    report.add(f"line_{kind}", OURS, run.seconds)
    if not beside_octoprint:
        return
    record = rig / f"{kind}.executed_by_octoprint"
    with (
        contextlib.closing(Firmware(program, rig / f"tty_{kind}", *options, "--record", str(record))) as firmware,
        octoprint(rig / f"octoprint_{kind}", firmware.tty) as server,
    ):
        run = _printed(server, firmware, path)
    _check(record, moves, OCTOPRINT)
    report.add(f"line_{kind}", OCTOPRINT, run.seconds)


def _printed(server: OctoPrint, firmware: Firmware, path: Path) -> Run:
    server.connect()
    server.print_file(path, PATIENCE)
    run = firmware.count()
    server.disconnect()
    return run


def _check(record: Path, moves: list[str], name: str) -> None:
    if record.read_text().splitlines() != moves:
        raise OSError(f"{name}: what was executed is not the file")


def _measure_hammered(report: Report, program: Path, subject: Subject, rig: Path, rounds: int) -> None:
    """A print through the whole host on a wire of 250,000 baud, without and with clients that call without pause."""
    rig.mkdir(parents=True)
    with (
        contextlib.closing(Firmware(program, rig / "tty", "--baud", "250000", "--parse", "0.0002")) as firmware,
        running(subject.with_config(MARLIN.format(tty=firmware.tty)), rig / "host", klipper=False) as server,
    ):
        server.start()
        server.wait_ready()
        write_moves(server.gcodes / "long.gcode", LONG)
        with HttpClient(server.port) as client:
            client.call("POST", "/printer/print/start?filename=long.gcode").result()
            time.sleep(WARM_UP_SECONDS)
            for _ in range(3 * rounds):
                quiet = _rate_while_sleeping(firmware)
                report.add("lines_alone", OURS, quiet)
                less = 1.0 - _rate_while_hammered(firmware, server.port) / quiet
                report.add("lines_hammered", OURS, less * 100.0)
            client.call("POST", "/printer/print/cancel").result()


def _rate_while_sleeping(firmware: Firmware) -> float:
    firmware.count()
    time.sleep(HAMMER_SECONDS)
    run = firmware.count()
    return (run.moves - 1) / run.seconds


def _rate_while_hammered(firmware: Firmware, port: int) -> float:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(HttpClient(port)) for _ in range(CLIENTS)]
        firmware.count()
        run_calls([client.socket for client in clients], call_bytes(STATUS, port), http_whole, HAMMER_SECONDS)
        run = firmware.count()
    return (run.moves - 1) / run.seconds
