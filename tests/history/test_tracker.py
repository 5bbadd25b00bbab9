"""Prints from scripted status updates, and any story of prints, restarts and lost connections: one row per print."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.components.history.prints import LastPrint, OpenJob, Print, PrintStats, Status
from moonraker_lite.components.history.tracker import Began, Change, Ended, Idle, Phase, Resumed, Tracker

NOW = 1_795_182_593.0
STANDBY = {"state": "standby", "filename": "", "total_duration": 0.0, "print_duration": 0.0, "filament_used": 0.0}


def attached(**fields: Any) -> Tracker:
    tracker = Tracker("boot")
    tracker.attach({**STANDBY, **fields}, 100.0, NOW)
    return tracker


def kinds(changes: list[Change]) -> list[str]:
    return [type(change).__name__ for change in changes]


def ended(changes: list[Change]) -> Ended:
    found = [change for change in changes if isinstance(change, Ended)]
    assert len(found) == 1, changes
    return found[0]


def test_a_print_from_start_to_end() -> None:
    tracker = attached()
    changes = tracker.update({"state": "printing", "filename": "a.gcode", "total_duration": 0.25}, 200.25, NOW + 100)
    assert isinstance(changes[0], Began)
    began = changes[0].print
    assert (began.filename, began.started, began.start_time) == ("a.gcode", 200.0, NOW + 99.75)
    assert tracker.update({"total_duration": 5.1, "print_duration": 2.0}, 205.0, NOW + 105) == []
    assert tracker.update({"state": "paused", "total_duration": 6.0}, 206.0, NOW + 106) == []
    assert tracker.update({"state": "printing", "total_duration": 9.0, "filament_used": 4.0}, 209.0, NOW + 109) == []
    end = ended(tracker.update({"state": "complete", "total_duration": 10.0}, 210.0, NOW + 110))
    assert end.status is Status.COMPLETED
    assert end.stats == PrintStats("complete", "a.gcode", 10.0, 2.0, 4.0)
    assert end.end_time == NOW + 110
    assert not end.resumable
    assert tracker.phase is Phase.IDLE


@pytest.mark.parametrize(
    ("fields", "status", "total"),
    [
        ({"state": "cancelled", "total_duration": 8.7}, Status.CANCELLED, 8.7),
        ({"state": "error", "total_duration": 8.7}, Status.ERROR, 8.7),
        (STANDBY, Status.CANCELLED, 8.0),
    ],
)
def test_how_a_print_can_end(fields: dict[str, Any], status: Status, total: float) -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    end = ended(tracker.update(fields, 200, NOW))
    assert (end.status, end.stats.total_duration) == (status, total)


def test_a_print_that_takes_the_place_of_a_paused_one() -> None:
    """As recorded: the old job is cancelled with its own figures, the new one is added."""
    tracker = attached(state="paused", filename="a.gcode", total_duration=17.0)
    changes = tracker.update({"state": "printing", "filename": "b.gcode", "total_duration": 0.06}, 200.0, NOW)
    assert kinds(changes) == ["Ended", "Began"]
    assert ended(changes).status is Status.CANCELLED
    assert ended(changes).stats.total_duration == 17.0


def test_the_same_file_again_within_one_update() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=17.0)
    assert kinds(tracker.update({"total_duration": 0.1}, 200.0, NOW)) == ["Ended", "Began"]


def test_the_same_file_again_after_no_update_for_long() -> None:
    """The new print is as old as the old one was; the printer's clock tells them apart."""
    tracker = attached(state="printing", filename="a.gcode", total_duration=17.0)
    assert kinds(tracker.update({"total_duration": 18.0}, 190.0, NOW)) == ["Ended", "Began"]


def test_a_whole_print_within_one_update() -> None:
    tracker = attached()
    changes = tracker.update({"state": "complete", "filename": "a.gcode", "total_duration": 0.1}, 200.0, NOW)
    assert kinds(changes) == ["Began", "Ended"]
    assert tracker.update({"filament_used": 3.0}, 201.0, NOW) == []
    changes = tracker.update({"total_duration": 0.12}, 202.0, NOW)
    assert kinds(changes) == ["Began", "Ended"], "the same file was printed once more"


def test_a_cancelled_print_may_settle_by_a_moment() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    tracker.update({"state": "cancelled", "total_duration": 8.59}, 200, NOW)
    assert kinds(tracker.update({"total_duration": 8.7}, 200.2, NOW)) == ["Idle"]


@pytest.mark.parametrize("status", [Status.KLIPPY_SHUTDOWN, Status.KLIPPY_DISCONNECT])
def test_losing_the_printer_ends_the_print_once(status: Status) -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    end = ended(tracker.lose(status, NOW + 1))
    assert (end.status, end.stats.total_duration, end.end_time) == (status, 8.0, NOW + 1)
    assert tracker.lose(Status.KLIPPY_DISCONNECT, NOW + 2) == []
    assert tracker.update({"state": "error", "total_duration": 9.0}, 201, NOW + 2) == [], "a dead printer says nothing"
    assert kinds(tracker.attach(STANDBY, 1.0, NOW + 3)) == ["Idle"]


def test_a_print_that_outlives_the_connection_goes_on_in_its_row() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    assert ended(tracker.lose(Status.KLIPPY_DISCONNECT, NOW + 1)).resumable
    changes = tracker.attach({"state": "printing", "filename": "a.gcode", "total_duration": 20.0}, 112.0, NOW + 12)
    assert kinds(changes) == ["Resumed"]
    assert (
        ended(tracker.update({"state": "complete", "total_duration": 30.0}, 122, NOW + 22)).status is Status.COMPLETED
    )


def test_a_print_that_ends_while_the_connection_is_lost() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    tracker.lose(Status.KLIPPY_DISCONNECT, NOW + 1)
    changes = tracker.attach({"state": "complete", "filename": "a.gcode", "total_duration": 20.0}, 150.0, NOW + 50)
    assert kinds(changes) == ["Resumed", "Ended"]
    assert ended(changes).end_time == NOW - 8 + 20


def test_another_print_after_a_lost_connection_gets_its_own_row() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    tracker.lose(Status.KLIPPY_DISCONNECT, NOW + 1)
    changes = tracker.attach({"state": "printing", "filename": "a.gcode", "total_duration": 20.0}, 150.0, NOW + 50)
    assert kinds(changes) == ["Began"]


def test_a_printer_that_is_shut_down_when_we_come() -> None:
    """Its status still speaks of the print; the row is closed, and nothing begins before it is ready again."""
    job = open_job(total=8.0)
    tracker = Tracker("boot", job)
    changes = tracker.attach(
        {"state": "printing", "filename": "a.gcode", "total_duration": 30.0}, 130.0, NOW + 30, False
    )
    assert ended(changes).status is Status.KLIPPY_SHUTDOWN
    assert tracker.phase is Phase.AWAY
    assert tracker.update({"total_duration": 31.0}, 131.0, NOW + 31) == []
    assert kinds(tracker.attach(STANDBY, 5.0, NOW + 60)) == ["Idle"]


def open_job(total: float = 8.0, left_open: bool = False, closed: bool = False) -> OpenJob:
    """A print of a.gcode that began at NOW, eventtime 100, and was last looked at `total` seconds later."""
    stats = PrintStats("printing", "a.gcode", total, 3.0, 1.0)
    return OpenJob(Print("a.gcode", 100.0, "boot", NOW, NOW + total, stats), closed, left_open)


def restarted(job: OpenJob, fields: dict[str, Any], eventtime: float, now: float, boot: str = "boot") -> list[Change]:
    return Tracker(boot, job, LastPrint("standby", "", 0.0)).attach({**STANDBY, **fields}, eventtime, now)


def running(total: float) -> dict[str, Any]:
    return {"state": "printing", "filename": "a.gcode", "total_duration": total}


def test_a_restarted_host_takes_up_the_print() -> None:
    tracker = Tracker("boot", open_job())
    assert tracker.attach(running(60.0), 160.0, NOW + 60) == []
    assert tracker.phase is Phase.PRINTING
    end = ended(tracker.update({"state": "complete", "total_duration": 100.0}, 200.0, NOW + 100))
    assert (end.status, end.stats.total_duration, end.end_time) == (Status.COMPLETED, 100.0, NOW + 100)


def test_neither_a_leap_of_the_clock_nor_another_clock_hides_the_print() -> None:
    assert restarted(open_job(), running(60.0), 160.0, NOW + 86_400) == []
    assert restarted(open_job(), running(60.0), 160.0, NOW - 86_400) == []
    assert restarted(open_job(), running(60.0), 7.0, NOW + 60, boot="") == []


@pytest.mark.parametrize(("left_open", "status"), [(True, Status.SERVER_EXIT), (False, Status.INTERRUPTED)])
def test_a_print_that_is_gone_is_closed_with_what_is_known(left_open: bool, status: Status) -> None:
    end = ended(restarted(open_job(8.0, left_open), STANDBY, 500.0, NOW + 400))
    assert (end.status, end.stats.total_duration, end.end_time) == (status, 8.0, NOW + 8)


@pytest.mark.parametrize(
    ("state", "status"), [("complete", Status.COMPLETED), ("cancelled", Status.CANCELLED), ("error", Status.ERROR)]
)
def test_a_print_that_ended_while_the_host_was_dead(state: str, status: Status) -> None:
    changes = restarted(open_job(), {"state": state, "filename": "a.gcode", "total_duration": 50.0}, 500.0, NOW + 400)
    assert kinds(changes) == ["Ended"]
    assert (ended(changes).status, ended(changes).stats.total_duration) == (status, 50.0)
    assert ended(changes).end_time == NOW + 50


def test_another_print_runs_when_the_host_comes_back() -> None:
    changes = restarted(open_job(), running(20.0), 500.0, NOW + 400)
    assert kinds(changes) == ["Ended", "Began"]
    assert ended(changes).status is Status.INTERRUPTED


def test_another_print_has_come_and_gone_while_the_host_was_dead() -> None:
    fields = {"state": "complete", "filename": "b.gcode", "total_duration": 50.0}
    changes = restarted(open_job(), fields, 500.0, NOW + 400)
    assert kinds(changes) == ["Ended", "Began", "Ended"]
    assert isinstance(changes[0], Ended)
    assert changes[0].status is Status.INTERRUPTED


def test_a_print_without_a_row_gets_one_unless_it_was_there_before_us() -> None:
    done = {**STANDBY, "state": "complete", "filename": "a.gcode", "total_duration": 5.0}
    assert kinds(Tracker("boot").attach(done, 1.0, NOW)) == ["Idle"], "the first start ever: not our print"
    known = LastPrint("complete", "a.gcode", 5.0)
    assert Tracker("boot", None, known).attach(done, 1.0, NOW) == []
    idle = LastPrint("standby", "", 0.0)
    assert kinds(Tracker("boot", None, idle).attach(done, 1.0, NOW)) == ["Began", "Ended"]
    assert kinds(Tracker("boot", None, idle).attach({**STANDBY, **running(3.0)}, 9.0, NOW)) == ["Began"]


def test_a_print_that_was_asked_for_before_anything_was_known_counts() -> None:
    tracker = Tracker("boot")
    assert kinds(tracker.expect()) == ["Idle"]
    assert tracker.expect() == []
    done = {**STANDBY, "state": "complete", "filename": "a.gcode", "total_duration": 5.0}
    assert kinds(tracker.attach(done, 1.0, NOW)) == ["Began", "Ended"]
    assert tracker.expect() == []


def test_status_of_wrong_types_is_ignored() -> None:
    tracker = attached(state="printing", filename="a.gcode", total_duration=8.0)
    assert tracker.update({"state": 5, "total_duration": "x", "filename": None, "print_duration": True}, 100, NOW) == []
    assert tracker.print is not None
    assert tracker.print.stats == PrintStats("printing", "a.gcode", 8.0)


class Row(msgspec.Struct):
    print: Print
    status: Status
    stats: PrintStats


class World:
    """A printer, a host that dies and comes back, and the host's memory: all in one, with every print counted."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.state, self.file, self.began, self.total = "standby", "", 0.0, 0.0
        self.prints: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.open: OpenJob | None = None
        self.last: LastPrint | None = None
        self.shown: dict[str, Any] = {}
        self.tracker: Tracker | None = None
        self.host_up("kill")

    # -- the printer
    def stats(self) -> dict[str, Any]:
        total = self.time - self.began if self.state in ("printing", "paused") else self.total
        return {**STANDBY, "state": self.state, "filename": self.file, "total_duration": total}

    def start(self, file: str) -> None:
        # Nobody could tell apart: a print that is replaced at once, the same file again while nobody looks.
        fresh = self.state == "paused" and self.time - self.began < 1
        if self.tracker is None:
            file = f"{len(self.prints)}.gcode"
        if self.state == "printing" or fresh:
            return
        if self.state == "paused":
            self.close("cancelled")
        self.state, self.file, self.began = "printing", file, self.time
        self.prints.append(
            {"file": file, "status": None, "seen": False, "run_seen": False, "end_seen": False, "at": self.time}
        )

    def close(self, state: str) -> None:
        if self.state not in ("printing", "paused"):
            return
        while abs(self.time - self.began - self.total) < 1.1:  # two prints are never of the same length
            self.run(1.3)
            self.see()
        self.total = self.time - self.began
        self.state = state
        self.prints[-1].update(status=state, total=self.total)

    def reset(self) -> None:
        if self.state == "paused":
            self.close("cancelled")
        if self.state != "printing":
            self.state, self.file, self.total = "standby", "", 0.0

    # -- the host
    def see(self) -> None:
        if self.tracker is None:
            return
        now = self.stats()
        changed = {key: value for key, value in now.items() if self.shown.get(key) != value}
        if now["state"] in ("printing", "paused"):  # never the same twice, but for the round figures of this world
            changed["total_duration"] = now["total_duration"]
        self.shown = now
        self.mark()
        if changed:
            self.take(self.tracker.update(changed, self.time, NOW + self.time))

    def mark(self) -> None:
        if self.prints and self.state != "standby":
            self.prints[-1]["seen"] = True
            running = self.state in ("printing", "paused")
            self.prints[-1]["run_seen"] |= running
            self.prints[-1]["end_seen"] = not running

    def take(self, changes: list[Change]) -> None:
        for change in changes:
            if isinstance(change, Began):
                self.rows.append(Row(change.print, Status.IN_PROGRESS, change.print.stats))
                self.open = OpenJob(change.print, False, False)
            elif isinstance(change, Ended):
                assert self.rows[-1].status is Status.IN_PROGRESS, "a row is closed once"
                self.rows[-1].status, self.rows[-1].stats = change.status, change.stats
                self.last = LastPrint.of(change.stats)
                self.open = OpenJob(self.rows[-1].print, True, False) if change.resumable else None
            elif isinstance(change, Resumed):
                assert self.rows[-1].status is Status.KLIPPY_DISCONNECT
                self.rows[-1].status = Status.IN_PROGRESS
                self.open = OpenJob(self.rows[-1].print, False, False)
            else:
                assert isinstance(change, Idle)
                self.last = change.last

    def attach(self) -> None:
        assert self.tracker is not None
        self.shown = self.stats()
        self.mark()
        self.take(self.tracker.attach(self.shown, self.time, NOW + self.time))

    def host_up(self, _: str) -> None:
        if self.tracker is None:
            self.tracker = Tracker("boot", self.open, self.last)
            self.attach()

    def host_down(self, how: str) -> None:
        if self.tracker is None:
            return
        if how == "stop" and self.tracker.print is not None:
            self.open = OpenJob(self.tracker.print, False, True)
        self.tracker = None

    def drop(self) -> None:
        if self.tracker is not None:
            self.take(self.tracker.lose(Status.KLIPPY_DISCONNECT, NOW + self.time))

    def run(self, seconds: float) -> None:
        self.time += seconds


STEP = (
    st.tuples(st.just("start"), st.sampled_from(["a.gcode", "b.gcode"]))
    | st.tuples(st.just("run"), st.floats(5, 500))
    | st.tuples(st.sampled_from(["pause", "resume", "reset", "see", "drop", "up", "stop", "kill"]), st.just(None))
    | st.tuples(st.just("close"), st.sampled_from(["complete", "cancelled", "error"]))
)


def play(world: World, action: str, value: Any) -> None:
    if action == "pause" and world.state == "printing":
        world.state = "paused"
    elif action == "resume" and world.state == "paused":
        world.state = "printing"
    elif action in ("stop", "kill"):
        world.see()
        world.host_down(action)
    elif action == "up":
        world.host_up("")
    elif action == "drop" and world.tracker is not None:
        world.see()
        world.drop()
        world.run(3.0)
        world.attach()
    elif action in ("start", "run", "close"):
        getattr(world, action)(value)
        world.run(0.3)
    elif action in ("reset", "see"):
        getattr(world, action)()


@settings(max_examples=500, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_every_print_that_was_seen_has_one_row(steps: list[tuple[str, Any]]) -> None:
    world = World()
    for number, (action, value) in enumerate(steps):
        play(world, action, value)
        if action not in ("start", "close", "reset") or (len(steps) + number) % 2:
            world.see()  # sometimes two things happen between two looks
    world.host_up("")
    world.see()
    seen = [run for run in world.prints if run["seen"]]
    assert [row.print.filename for row in world.rows] == [run["file"] for run in seen]
    for row, run in zip(world.rows, seen, strict=True):
        if run["run_seen"]:
            assert row.print.start_time == pytest.approx(NOW + run["at"], abs=1.0)
        if run["end_seen"]:
            expected = "completed" if run["status"] == "complete" else run["status"]
            assert row.status.value == expected
            assert row.stats.total_duration == pytest.approx(run["total"], abs=1e-6)
    if world.state in ("printing", "paused"):
        assert world.rows[-1].status is Status.IN_PROGRESS
    assert sum(row.status is Status.IN_PROGRESS for row in world.rows) == (world.state in ("printing", "paused"))
