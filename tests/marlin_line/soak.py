"""`scripts/soak`: prints over lines that do everything wrong, until so many lines were executed.

Each round has a firmware, a wire and faults of its own, all from one seed. After each round what the firmware executed
is compared with what was sent, line by line; a stall of more than five seconds without an acknowledgement is a failure.
A failure names the seed of its round: `scripts/soak --seed N --rounds 1` repeats it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from functools import partial

import msgspec

from moonraker_lite.marlin.protocol import LineProtocol
from moonraker_lite.marlin.virtual.faults import FaultPlan
from moonraker_lite.marlin.virtual.wire import BareFirmware, SimulatedLine, ragged, single, whole

STALL = 5.0
ROUND = 20_000
# Cutting a line in two on its way, with others behind it, makes Marlin's flush execute half a line: see docs/marlin.md.
WIRES = (("whole", whole, None), ("whole, window of 4", whole, 4), ("bytes", single, None), ("ragged", ragged, 1))


class Result(msgspec.Struct, frozen=True):
    """What one round has shown. `failure` is empty when all was well."""

    seed: int
    lines: int
    title: str
    failure: str = ""
    stall: float = 0.0
    resends: int = 0
    timeouts: int = 0
    resets: int = 0
    cuts: int = 0


def moves(count: int) -> list[str]:
    """No two neighbours are alike."""
    return [f"G1 X{index % 200}.{index % 10} Y{index % 190} E{index / 10:.3f}" for index in range(count)]


class Round:
    """One print. Everything in it follows from the seed."""

    def __init__(self, seed: int, lines: int) -> None:
        self.seed = seed
        rng = self._rng = random.Random(seed)
        name, chunker, window = rng.choice(WIRES)
        # Byte by byte costs most of the time, and has few surprises.
        self.lines = lines // 8 if chunker is single else lines
        self.commands = moves(self.lines)
        advanced = rng.random() < 0.5
        plan = FaultPlan(
            seed=seed,
            corrupt=rng.choice((0.0, 0.0005, 0.05)),
            drop=rng.choice((0.0, 0.0, 0.002)),
            lose_ok=rng.choice((0.0, 0.002, 0.02)),
            double_ok=rng.choice((0.0, 0.01)),
            corrupt_reply=rng.choice((0.0, 0.002)),
            noise=rng.choice((0.0, 0.01)),
            noise_in=rng.choice((0.0, 0.0, 0.005)),
            delay=rng.choice((0.0, 0.001)),
        )
        self._pause = rng.choice((0.0, 0.0, 0.02, 0.3))
        rate = rng.choice((0.0, 0.0, 11520.0, 25000.0))
        self.resets = rng.choice((0, 0, 3))
        self.cuts = rng.choice((0, 0, 3))
        self.title = (
            f"{name}, {'advanced' if advanced else 'plain'} ok, {rate:g} B/s, pauses to {self._pause:g} s, "
            f"{self.resets} resets, {self.cuts} cuts, {_words(plan)}"
        )
        self.firmware = BareFirmware(advanced_ok=advanced, cost=self._cost, plain_m105=rng.random() < 0.2)
        self.line = SimulatedLine(
            LineProtocol(window_lines=window), self.firmware, plan, chunker=chunker, bytes_per_second=rate
        )

    def _cost(self, _: bytes) -> float:
        return self._rng.random() * self._pause if self._pause and self._rng.random() < 0.2 else 0.0

    def run(self) -> Result:
        try:
            self._print()
        except (TimeoutError, AssertionError) as error:
            return self._result(str(error) or type(error).__name__)
        executed = [text.decode() for text in self.firmware.executed]
        if executed != self.commands:
            at = next(
                (i for i, pair in enumerate(zip(executed, self.commands, strict=False)) if pair[0] != pair[1]), -1
            )
            return self._result(f"executed {len(executed)} lines, the first other one is line {at}: {executed[at]!r}")
        if self.line.longest_stall > STALL:
            return self._result(f"a stall of {self.line.longest_stall:.1f} s")
        return self._result("")

    def _result(self, failure: str) -> Result:
        stats = self.line.protocol.stats
        return Result(
            self.seed,
            len(self.firmware.executed),
            self.title,
            failure,
            self.line.longest_stall,
            stats.resend_requests,
            stats.timeouts,
            self.resets,
            self.cuts,
        )

    def _print(self) -> None:
        """The whole file, with resets and losses of the link in between."""
        line, protocol = self.line, self.line.protocol
        source = iter(self.commands)
        line.run(source, until=lambda: protocol.ready)
        events = ["reset"] * self.resets + ["cut"] * self.cuts
        self._rng.shuffle(events)
        base = 0
        for event in events:
            steps = self._rng.randrange(1, max(self.lines // (len(events) + 1), 2))
            goal = min(len(line.acknowledged) + steps, base + self.lines)
            line.go_on(source, until=partial(self._reached, goal, len(self.commands)))
            if event == "cut":
                line.cut_link(self._rng.random() * 20.0)
                line.go_on(source, until=lambda: protocol.ready)
            else:
                # What a print does then is its own affair; here it goes on behind what was executed.
                line.reset_firmware()
                line.go_on(iter(()), until=lambda: not protocol.ready)
                line.go_on(iter(()), until=lambda: protocol.ready)
                source = iter(self.commands[len(self.firmware.executed) :])
        line.go_on(source, limit=line.now + self.lines * 2.0 + 100.0, until=self._all_executed)
        line.go_on(iter(()), limit=line.now + 100.0)

    def _reached(self, goal: int, most: int) -> bool:
        return len(self.line.acknowledged) >= goal or len(self.firmware.executed) >= most

    def _all_executed(self) -> bool:
        return len(self.firmware.executed) >= len(self.commands)


def _words(plan: FaultPlan) -> str:
    rates = msgspec.to_builtins(plan)
    return ", ".join(f"{name} {rate:g}" for name, rate in rates.items() if rate and name != "seed") or "no faults"


def run_round(job: tuple[int, int]) -> Result:
    """One round, given its seed and number of lines."""
    return Round(*job).run()


def jobs(seed: int, lines: int, rounds: int | None) -> Iterator[tuple[int, int]]:
    """Seeds without end, or so many."""
    number = 0
    while rounds is None or number < rounds:
        yield seed + number, lines
        number += 1


def soak(args: argparse.Namespace) -> int:
    """Run rounds until enough lines were executed or the time is over; the number of failures."""
    begin = shown = time.monotonic()
    done = failures = resends = cuts = resets = rounds = 0
    stall = 0.0
    with multiprocessing.Pool(args.jobs) as pool:
        for result in pool.imap_unordered(run_round, jobs(args.seed, args.round, args.rounds)):
            rounds += 1
            done += result.lines
            resends += result.resends
            cuts += result.cuts
            resets += result.resets
            stall = max(stall, result.stall)
            if result.failure:
                failures += 1
                print(f"seed {result.seed}: {result.failure}\n    {result.title}", flush=True)
            now = time.monotonic()
            over = done >= args.lines or now - begin > args.seconds or rounds == args.rounds
            if over or now - shown > 10.0:
                shown = now
                print(
                    f"{done:,} lines in {rounds:,} rounds, {now - begin:.0f} s: {failures} failures, longest stall "
                    f"{stall:.2f} s, {resends:,} resends, {cuts:,} lost links, {resets:,} resets",
                    flush=True,
                )
            if over:
                pool.terminate()
                break
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000, help="so many executed lines (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no longer than this")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on")
    parser.add_argument("--rounds", type=int, help="only so many rounds")
    parser.add_argument("--round", type=int, default=ROUND, help="lines in a round (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    return int(soak(parser.parse_args()) > 0)


if __name__ == "__main__":
    sys.exit(main())
