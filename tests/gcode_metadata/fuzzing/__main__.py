"""Gives the scanner hostile files for a while: `python -m tests.gcode_metadata.fuzzing --seconds 600 --seed 1`.

Each file is worked on in a process with little memory. What raises, is slow, takes too much memory, or ends the process
is a finding: it is made as small as may be, and written to a folder with the word how to have it again.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NoReturn

import msgspec

from tests.gcode_metadata.fuzzing import cases
from tests.gcode_metadata.fuzzing.cases import Case
from tests.gcode_metadata.fuzzing.trial import Outcome, attempt, limit_memory

PATIENCE = 20.0
"""Seconds of silence after which a process hangs."""
MOST_FINDINGS = 20


class Worker:
    """A forked process that works on one case after the other."""

    def __init__(self, folder: Path) -> None:
        to_read, self._to_write = os.pipe()
        self._to_us, from_it = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._to_write)
            os.close(self._to_us)
            _serve(to_read, from_it, folder)
        os.close(to_read)
        os.close(from_it)

    def attempt(self, number: int, case: Case) -> Outcome:
        """What came of a case; the worker is of no more use when `died` is in the fault."""
        request = msgspec.json.encode((number, case.ending, case.made_by, len(case.data))) + b"\n"
        with os.fdopen(os.dup(self._to_write), "wb") as pipe:
            pipe.write(request + case.data)
        answer = b""
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([self._to_us], [], [], PATIENCE)
            piece = os.read(self._to_us, 65536) if ready else b""
            if not piece:
                fault = f"died: {self._end()}" if ready else f"died: no answer in {PATIENCE:g} s"
                return Outcome(number, case.made_by, len(case.data), fault)
            answer += piece
        return msgspec.json.decode(answer, type=Outcome)

    def _end(self) -> str:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return f"exit status {os.waitstatus_to_exitcode(status)}"

    def close(self) -> None:
        os.close(self._to_write)
        os.close(self._to_us)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _serve(source: int, target: int, folder: Path) -> NoReturn:
    limit_memory()
    with os.fdopen(source, "rb") as requests:
        while line := requests.readline():
            number, ending, made_by, size = msgspec.json.decode(line, type=tuple[int, str, str, int])
            outcome = attempt(number, Case(ending, requests.read(size), made_by), folder)
            os.write(target, msgspec.json.encode(outcome) + b"\n")
    os._exit(0)


class Fuzzer:
    def __init__(self, folder: Path, findings: Path) -> None:
        self._folder = folder
        self._findings = findings
        self._worker = Worker(folder)
        self.faults: Counter[str] = Counter()
        self.makers: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {}
        self.slowest: dict[str, tuple[float, int]] = {}

    def run(self, seed: int, number: int) -> None:
        case = cases.make(seed, number)
        outcome = self._attempt(number, case)
        self.makers[case.made_by] += 1
        for name, seconds in outcome.seconds.items():
            self.seconds.setdefault(name, []).append(seconds)
            self.slowest[name] = max(self.slowest.get(name, (0.0, 0)), (seconds, number))
        if outcome.fault:
            fault = f"{_kind(outcome.fault)} ({case.made_by})"
            self.faults[fault] += 1
            if self.faults[fault] == 1 and len(self.faults) <= MOST_FINDINGS:
                self._report(seed, number, case, outcome)

    def _attempt(self, number: int, case: Case) -> Outcome:
        outcome = self._worker.attempt(number, case)
        if outcome.fault.startswith("died"):
            self.close()
            self._worker = Worker(self._folder)
        return outcome

    def _report(self, seed: int, number: int, case: Case, outcome: Outcome) -> None:
        took = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in outcome.seconds.items())
        print(f"FAULT {outcome.fault}\n  by {case.made_by}, {len(case.data)} bytes, {took}")
        small = self._smaller(case, _kind(outcome.fault), time.monotonic() + 20)
        self._findings.mkdir(parents=True, exist_ok=True)
        path = self._findings / f"{seed}-{number}{case.ending}"
        path.write_bytes(small.data)
        print(
            f"  {len(small.data)} bytes are enough: {path}; again: --seed {seed} --first {number} --count 1", flush=True
        )

    def _smaller(self, case: Case, kind: str, end: float) -> Case:
        """Leave out pieces, large ones first, as long as the fault stays the same."""
        piece = len(case.data) // 2
        while piece >= 1 and time.monotonic() < end:
            start, shorter = 0, False
            while start < len(case.data) and time.monotonic() < end:
                fewer = case._replace(data=case.data[:start] + case.data[start + piece :])
                if _kind(self._attempt(-1, fewer).fault) == kind:
                    case, shorter = fewer, True
                else:
                    start += piece
            if not shorter or piece > len(case.data):
                piece //= 2
        return case

    def close(self) -> None:
        self._worker.close()


def _kind(fault: str) -> str:
    """Faults of one kind are reported once."""
    return fault.partition(": ")[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz scanner", description="Give the scanner hostile files.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats a run (default: the time)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=10**9, help="how many cases at most")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder (default: %(default)s)")
    options = parser.parse_args()
    from PIL import Image  # before the memory is limited: it is part of the program

    Image.init()
    print(f"seed {options.seed}, {len(cases.sources())} real files ({cases.fingerprint()})", flush=True)
    end, number = time.monotonic() + options.seconds, options.first
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), options.findings)
        try:
            while time.monotonic() < end and number < options.first + options.count:
                fuzzer.run(options.seed, number)
                number += 1
        finally:
            fuzzer.close()
    print(f"{number - options.first} files: {dict(fuzzer.makers)}")
    for name, taken in fuzzer.seconds.items():
        taken.sort()
        percentiles = ", ".join(
            f"{part:.0%} {taken[int(part * (len(taken) - 1))] * 1000:.1f}" for part in (0.5, 0.99, 1)
        )
        print(f"{name:8} CPU ms: {percentiles} (case {fuzzer.slowest[name][1]})")
    for fault, count in fuzzer.faults.most_common():
        print(f"FAULT {count} times: {fault}")
    return 1 if fuzzer.faults else 0


if __name__ == "__main__":
    sys.exit(main())
