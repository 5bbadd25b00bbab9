"""Collects samples, compares medians with the goals, and writes the table."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from itertools import starmap

import msgspec

from bench.goals import BARE, LINE_MEASURES, MEASURES, MOONRAKER, OCTOPRINT, OURS
from bench.readings import load

_HEAD = (
    "| measurement | unit | moonraker_lite | Moonraker | bare Tornado | factor | goal | | load |\n"
    "|---|---|--:|--:|--:|--:|--:|---|--:|"
)
_LINE_HEAD = (
    "| measurement | unit | moonraker_lite | OctoPrint | factor | goal | | load |\n|---|---|--:|--:|--:|---|---|--:|"
)


class Verdict(msgspec.Struct, frozen=True):
    """One goal and what was reached; `reached` is None where something could not be measured."""

    goal: str
    reached: str
    met: bool | None


class Report:
    """All samples of one run, by measure and subject."""

    def __init__(self, *, files: int) -> None:
        self._files = files
        self._samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._loads: dict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []
        self.client_share = 0.0

    def add(self, key: str, subject: str, sample: float) -> None:
        """Take one sample."""
        self._samples[key][subject].append(sample)
        self._loads[key].append(load())
        print(f"  {key:14} {subject:15} {_number(sample)} {MEASURES[key].unit}", file=sys.stderr, flush=True)

    def problem(self, text: str) -> None:
        """Note what could not be measured."""
        self.problems.append(text)
        print(f"  !! {text}", file=sys.stderr, flush=True)

    def median(self, key: str, subject: str) -> float | None:
        """The middle of the samples; None when there are none."""
        samples = self._samples.get(key, {}).get(subject)
        return statistics.median(samples) if samples else None

    def verdict(self, key: str) -> Verdict:
        """Compare a measure with its goal; without one, show the factor against Moonraker."""
        measure, own = MEASURES[key], self.median(key, OURS)
        if measure.limit is not None:
            met = None if own is None else own <= measure.limit
            return Verdict(f"≤ {measure.limit:g} {measure.unit}", "", met)
        if measure.least is not None:
            return Verdict(f"≥ {measure.least:g} {measure.unit}", "", None if own is None else own >= measure.least)
        factors = {name: self.factor(key, name) for name in (MOONRAKER, BARE, OCTOPRINT)}
        reached = " / ".join(f"{_number(factor)}x" for factor in factors.values() if factor is not None)
        for reference, least in measure.goals.items():
            factor = factors[reference]
            met = None if factor is None else factor >= least
            return Verdict(f"≥ {least:g}x {reference}", reached, met)
        return Verdict("", reached, None)

    def factor(self, key: str, reference: str) -> float | None:
        """How many times better ours is. Samples of the same round are compared, and the median is taken of that:
        what disturbs the machine for a while disturbs both."""
        own, other = self._samples[key][OURS], self._samples[key][reference]
        if not own or not other:
            return None
        measure = MEASURES[key]
        if len(own) == len(other):
            return statistics.median(starmap(measure.factor, zip(own, other, strict=True)))
        return measure.factor(statistics.median(own), statistics.median(other))

    def unmet(self) -> list[str]:
        """The measures whose goal was measured and missed."""
        return [key for key in MEASURES if self.verdict(key).met is False]

    def table(self, older: str = "") -> str:
        """The rows that have any sample, as a Markdown table; of the rest those of an older page with such a table."""
        known = {line.split(" | ")[0]: line for line in older.splitlines() if line.startswith("| ")}
        rows = []
        for key in MEASURES:
            if key in LINE_MEASURES:
                continue
            subjects = (OURS, MOONRAKER, BARE)
            row = known.get(f"| {self._title(key)}")
            if key in self._samples and (row is None or not MEASURES[key].goals or self.verdict(key).met is not None):
                row = self._row(key, subjects)
            rows += [row] if row is not None else []
        return "\n".join([_HEAD, *rows])

    def _title(self, key: str) -> str:
        return MEASURES[key].title.format(files=self._files)

    def line_table(self) -> str:
        """The same for the line to a Marlin board, beside OctoPrint; empty where it was not asked for."""
        keys = [key for key in LINE_MEASURES if key in self._samples]
        return "\n".join([_LINE_HEAD, *(self._row(key, (OURS, OCTOPRINT)) for key in keys)]) if keys else ""

    def _row(self, key: str, subjects: tuple[str, ...]) -> str:
        measure, verdict = MEASURES[key], self.verdict(key)
        values = [self.median(key, subject) for subject in subjects]
        texts = ["" if value is None else _number(value) for value in values]
        mark = {True: "met", False: "**missed**", None: ""}[verdict.met]
        cells = [self._title(key), measure.unit, *texts, verdict.reached, verdict.goal, mark]
        return "| " + " | ".join([*cells, f"{statistics.median(self._loads[key]):.1f}"]) + " |"


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
