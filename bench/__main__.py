"""`scripts/bench`: measure this server and a real Moonraker side by side, in turn, on the same data."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import tornado

from bench import (
    measure_calls,
    measure_files,
    measure_line,
    measure_metadata,
    measure_printing,
    measure_start,
    measure_transfer,
)
from bench.gcode import write_big_file
from bench.goals import MOONRAKER, OURS
from bench.moonraker_venv import moonraker_python, moonraker_version
from bench.octoprint import octoprint_version
from bench.readings import load, machine
from bench.report import Report
from bench.servers import Server, bare_tornado, running, server_info_body
from bench.subjects import Subject, moonraker, ours

RESULTS = Path(__file__).parent / "RESULTS.md"
PARTS = ("start", "calls", "transfer", "files", "printing", "scanning", "metadata")
# Takes another ten minutes, OctoPrint's waiting for lost answers most of them: only when asked for.
LINE = "line"
LINE_TITLE = "## The line to a Marlin board"


class OutOfTime(BaseException):
    """The whole run has taken too long. No Exception, so that no measurement takes it for a failure of its own."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the main thread after so many seconds."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime(f"the run was ended after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Bench:
    """One run: the servers that are up, and the measurements in their order."""

    def __init__(self, args: argparse.Namespace, rig: Path) -> None:
        self.args = args
        self.rig = rig
        self.quick: bool = args.quick
        self.parts: list[str] = args.parts or list(PARTS)
        self.files: int = args.files or (100 if self.quick else 1000)
        self.report = Report(files=self.files)

    def run(self) -> None:
        """Measure everything that was asked for. What fails is noted, and the rest goes on."""
        if self.parts != [LINE]:
            self._run_beside_moonraker()
        self._part(LINE, self._line)

    def _run_beside_moonraker(self) -> None:
        subjects = self._subjects()
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(running(subject, self.rig / name)) for name, subject in subjects.items()]
            self._part("start", lambda: measure_start.measure_start(self.report, servers, 3 if self.quick else 7))
            servers = [server for server in servers if self._is_up(server)]
            self._part("start", lambda: measure_start.measure_memory(self.report, servers))
            self._part("calls", lambda: self._calls(servers))
            self._part("transfer", lambda: self._transfer(servers))
            self._part("files", lambda: self._files(servers))
            self._part("printing", lambda: self._printing(servers))
            self._part("scanning", lambda: self._scanning(servers))
            self._part("metadata", lambda: self._dropping(servers))
        self._part("scanning", lambda: self._printing_and_scanning(subjects))
        self._part("metadata", lambda: self._metadata(subjects))
        self._part("start", lambda: self._start_with_more(subjects))

    def _start_with_more(self, subjects: dict[str, Subject]) -> None:
        if OURS in subjects:
            measure_start.measure_with_marlin(self.report, subjects[OURS], self.rig)
        rounds = 3 if self.quick else 7
        measure_start.measure_with_features(self.report, list(subjects.values()), self.rig / "features", rounds)

    def _line(self) -> None:
        subject = ours(uvloop=not self.args.no_uvloop)
        with_octoprint = self.args.only_subject is None
        rounds = 1 if self.quick else 3
        measure_line.measure_line(self.report, subject, self.rig / LINE, rounds, beside_octoprint=with_octoprint)

    def _subjects(self) -> dict[str, Subject]:
        subjects = {}
        if self.args.only_subject != MOONRAKER:
            subjects[OURS] = ours(uvloop=not self.args.no_uvloop)
        if self.args.only_subject != OURS:
            try:
                subjects[MOONRAKER] = moonraker(moonraker_python())
            except OSError as error:
                self.report.problem(str(error))
        return subjects

    def _is_up(self, server: Server) -> bool:
        try:
            server.ensure_ready()
        except OSError as error:
            self.report.problem(str(error))
            return False
        return True

    def _part(self, name: str, measure: Callable[[], None]) -> None:
        if name not in self.parts:
            return
        print(f"{name} (load {load():.1f})", file=sys.stderr)
        try:
            measure()
        except OSError as error:  # TimeoutError is one, too
            self.report.problem(f"{name}: {error}")

    def _calls(self, servers: list[Server]) -> None:
        body = server_info_body(servers[0])
        with bare_tornado(self.rig / "bare", body, uvloop=not self.args.no_uvloop) as bare:
            targets = measure_calls.targets_of(servers, bare)
            measure_calls.measure_calls(self.report, targets, 7 if self.quick else 21)

    def _transfer(self, servers: list[Server]) -> None:
        big = self.rig / "big.gcode"
        write_big_file(big, self.args.megabytes)
        measure_transfer.measure_transfer(self.report, servers, big, 4 if self.quick else 11)
        big.unlink()

    def _files(self, servers: list[Server]) -> None:
        measure_files.measure_drop_one(self.report, servers, 5 if self.quick else 9)
        for server in servers:
            measure_files.measure_drop_many(self.report, server, self.files, self.files * 0.5 + 20)
        measure_files.measure_lists(self.report, servers, self.files, 3 if self.quick else 5)

    def _scanning(self, servers: list[Server]) -> None:
        for server in servers:
            if server.name == OURS:
                measure_metadata.measure_lag(self.report, server, self.files, 1 if self.quick else 5)

    def _printing_and_scanning(self, subjects: dict[str, Subject]) -> None:
        if OURS in subjects:
            rig, rounds = self.rig / "rate", 1 if self.quick else 3
            measure_metadata.measure_line_rate(self.report, subjects[OURS], rig, self.files, rounds)

    def _dropping(self, servers: list[Server]) -> None:
        """Unless another part has measured it."""
        for server in servers if "files" not in self.parts else ():
            measure_files.measure_drop_many(self.report, server, self.files, self.files * 0.5 + 20)

    def _metadata(self, subjects: dict[str, Subject]) -> None:
        folder = self.rig / "metadata"
        measure_metadata.measure_one_file(self.report, folder, 3 if self.quick else 9, MOONRAKER in subjects)
        if OURS in subjects:
            count, rounds = (1000, 2) if self.quick else (10_000, 5)
            measure_metadata.measure_warm_start(self.report, subjects[OURS], folder, count, rounds)

    def _printing(self, servers: list[Server]) -> None:
        rounds, seconds = (1, 5.0) if self.quick else (2, 10.0)
        measure_printing.measure_printing(self.report, servers, rounds, seconds)


def page(bench: Bench, seconds: float) -> str:
    """The whole text: where and how it was measured, the table, what could not be measured."""
    loop = "asyncio" if bench.args.no_uvloop else _loop_name()
    lines = [
        "# Measurements",
        "",
        f"{_now()} UTC, {seconds:.0f} s, `scripts/bench{_options(bench.args)}`.",
        "",
        f"- Machine: {machine()}.",
        f"- moonraker_lite and bare Tornado: Python {platform.python_version()}, Tornado {tornado.version}, {loop}.",
        f"- Moonraker: {moonraker_version() or 'not installed'}, as `pip install moonraker` gives it.",
        "- Both with the same configuration, each with its own fake Klipper behind it, on the same file system,",
        "  measured in turn; each figure is the median of several rounds. The client runs on the same machine; it was",
        f"  busy for at most {bench.report.client_share:.0%} of the time while it counted calls.",
        "- A factor tells how many times better moonraker_lite is: against Moonraker, then against bare Tornado.",
        "- The small configuration is [server], [authorization], [octoprint_compat] and [history]; the full one, with",
        "  which the goals for start and memory were set, has [job_queue], [analysis], [notifier] and [power] as well.",
        "  What moonraker_lite has no component for is only warned of.",
        "",
        bench.report.table(),
    ]
    return "\n".join(lines + _problems(bench)) + "\n"


def _problems(bench: Bench) -> list[str]:
    problems = bench.report.problems
    return ["", "Not measured:", "", *(f"- {problem}" for problem in problems)] if problems else []


def line_page(bench: Bench, seconds: float) -> str:
    """The section about the line; empty where it was not measured."""
    table = bench.report.line_table()
    if not table:
        return ""
    lines = [
        LINE_TITLE,
        "",
        f"{_now()} UTC, {seconds:.0f} s, `scripts/bench{_options(bench.args)}`.",
        "",
        f"- Machine: {machine()}.",
        f"- OctoPrint {octoprint_version() or '(not installed)'}, as `pip install octoprint` gives it, without its",
        "  analysis of files and its serial log. Both print the same file on the same firmware (`bench/firmware.c`)",
        "  over a pty, in turn. What the firmware has executed is compared with the file where the line is bad.",
        "- moonraker_lite's figures are those of its Marlin process; the last two rows are those of host and process.",
        "",
        table,
    ]
    return "\n".join(lines + _problems(bench)) + "\n"


def write_results(bench: Bench, main_page: str, line: str) -> None:
    """Replace what was measured; the rest of the file stays as it is."""
    old = RESULTS.read_text() if RESULTS.exists() else ""
    old_main, found, old_line = old.partition(LINE_TITLE)
    if old_main and bench.args.parts:
        main_page = renewed(old_main, bench) if bench.parts != [LINE] else old_main
    RESULTS.write_text(main_page.rstrip() + "\n" + ("\n" + (line or found + old_line) if line or found else ""))


def renewed(older: str, bench: Bench) -> str:
    """An older page with the rows of this run in place of its own, and a line that says so."""
    head, _, rest = older.partition("\n| measurement")
    end = rest.find("\n\n")
    line = f"{_now()} UTC, `scripts/bench{_options(bench.args)}`."
    said = f"- Measured again: {', '.join(bench.parts)}, "
    kept = [text for text in head.rstrip().split("\n") if not text.startswith(said)]
    problems = [f"- {problem}" for problem in bench.report.problems]
    below = rest[end:].strip() if end >= 0 else ""
    if problems:
        below = "\n".join([below or "Not measured:\n", *problems])
    table = bench.report.table(older)
    return "\n".join([*kept, said + line, "", table, *(["", below] if below else [])]) + "\n"


def _loop_name() -> str:
    try:
        return f"uvloop {importlib.metadata.version('uvloop')}"
    except importlib.metadata.PackageNotFoundError:
        return "asyncio"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def _options(args: argparse.Namespace) -> str:
    """What was asked for; where it was measured is nobody's business."""
    left_out = {"--dir", str(args.dir), f"--dir={args.dir}"}
    return "".join(f" {option}" for option in sys.argv[1:] if option not in left_out)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of {', '.join((*PARTS, LINE))}")
    parser.add_argument(
        "--quick", action="store_true", help="100 files instead of 1,000, fewer rounds (below 4 minutes)"
    )
    parser.add_argument("--write", action="store_true", help="write the table to bench/RESULTS.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed or was not measured")
    parser.add_argument("--files", type=int, help="how many files are dropped and listed")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the big file (default: %(default)s)")
    parser.add_argument("--no-uvloop", action="store_true", help="run ours and bare Tornado on asyncio's own loop")
    parser.add_argument("--only-subject", choices=(OURS, MOONRAKER), help="measure only one of the two")
    parser.add_argument("--dir", type=Path, help="measure in this folder (default: a temporary one)")
    args = parser.parse_args()
    if unknown := set(args.parts).difference((*PARTS, LINE)):
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join((*PARTS, LINE))}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode, too
    rig = Path(tempfile.mkdtemp(prefix="moonraker_lite-bench-", dir=args.dir)).resolve()
    os.environ["TMPDIR"] = str(rig)  # Moonraker receives uploads there: the same file system for both
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(args, rig)
    begin = time.monotonic()
    try:
        with time_limit(240 if args.quick and LINE not in bench.parts else 890):
            bench.run()
    except OutOfTime as error:
        bench.report.problem(str(error))
    finally:
        shutil.rmtree(rig, ignore_errors=True)
    seconds = time.monotonic() - begin
    text, line = page(bench, seconds), line_page(bench, seconds)
    print(text if bench.parts != [LINE] else "")
    print(line)
    if args.write:
        write_results(bench, text, line)
    return int(args.check and bool(bench.report.unmet() or bench.report.problems))


if __name__ == "__main__":
    sys.exit(main())
