"""The reducer without a disk or a clock: what is seen goes in, the announced changes come out."""

from __future__ import annotations

import pytest

from moonraker_lite.components.file_manager.changes import Action, Change, Event, Observation, Place
from moonraker_lite.components.file_manager.quiet import DELETE_LIMIT, DELETE_SETTLE, TREE_LIMIT, TREE_SETTLE
from moonraker_lite.components.file_manager.reducer import CREATE_HOLD, OPEN_LIMIT, Reducer


def at(path: str) -> Place:
    root, _, rest = path.partition(":")
    return Place(root, rest) if rest or ":" in path else Place("gcodes", path)


class Bench:
    """A reducer with a hand-driven clock. Every `.gcode` wants metadata until it is scanned."""

    def __init__(self) -> None:
        self.now = 100.0
        self.valid: set[Place] = set()
        self.asked: list[Place] = []
        self.reducer = Reducer(lambda p: p.path.endswith(".gcode") and p not in self.valid, self.asked.append)

    def see(self, event: Event, path: str, source: str | None = None, **flags: bool) -> None:
        self.reducer.observe(Observation(event, at(path), at(source) if source else None, **flags), self.now)

    def write(self, path: str) -> None:
        """A new file as `cp` makes it."""
        self.see(Event.FILE_APPEARED, path)
        self.see(Event.FILE_WRITTEN, path)
        self.see(Event.FILE_CLOSED, path)

    def rewrite(self, path: str) -> None:
        self.see(Event.FILE_WRITTEN, path)
        self.see(Event.FILE_CLOSED, path)

    def move(self, source: str, target: str, *, replaced: bool = False) -> None:
        self.see(Event.FILE_MOVED, target, source, replaced=replaced)

    def scan(self, path: str) -> bool:
        self.valid.add(at(path))
        return self.reducer.scanned(at(path), self.now)

    def wait(self, seconds: float) -> list[str]:
        """Let time pass in the steps the reducer asks for; returns what was announced since the last call."""
        end = self.now + seconds
        while (due := self.reducer.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.reducer.advance(self.now)
        self.now = end
        return self.told()

    def told(self) -> list[str]:
        out, self.reducer.out = self.reducer.out, []
        return [text(change) for change in out]


def text(change: Change) -> str:
    where = f"{change.source}->{change.place}" if change.source else str(change.place)
    return f"{change.action.value} {where}".replace("gcodes/", "")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_new_text_file_is_told_once_it_is_closed(bench: Bench) -> None:
    bench.see(Event.FILE_APPEARED, "n.txt")
    bench.see(Event.FILE_WRITTEN, "n.txt")
    assert bench.wait(3) == []
    bench.see(Event.FILE_CLOSED, "n.txt")
    assert bench.wait(0) == ["create_file n.txt"]
    assert bench.wait(60) == []


def test_a_new_gcode_file_is_told_after_its_scan(bench: Bench) -> None:
    bench.write("a.gcode")
    assert bench.wait(5) == []
    assert bench.asked == [at("a.gcode")]
    assert bench.scan("a.gcode") is True
    assert bench.told() == ["create_file a.gcode"]
    assert bench.scan("a.gcode") is False


def test_append_and_rewrite_modify_once_each(bench: Bench) -> None:
    bench.rewrite("n.cfg")
    assert bench.told() == ["modify_file n.cfg"]
    bench.rewrite("n.cfg")
    bench.see(Event.FILE_CLOSED, "n.cfg")
    assert bench.wait(9) == ["modify_file n.cfg"]


def test_writing_again_during_the_scan_waits_for_the_second_scan(bench: Bench) -> None:
    bench.rewrite("a.gcode")
    bench.see(Event.FILE_WRITTEN, "a.gcode")
    bench.reducer.scanned(at("a.gcode"), bench.now)
    assert bench.told() == []
    bench.see(Event.FILE_CLOSED, "a.gcode")
    bench.scan("a.gcode")
    assert bench.told() == ["modify_file a.gcode"]


def test_a_temporary_file_renamed_over_another_is_one_move(bench: Bench) -> None:
    bench.valid.add(at("b.cfg"))
    bench.write(".tmpx")
    bench.move(".tmpx", "b.cfg", replaced=True)
    assert bench.wait(1) == ["move_file .tmpx->b.cfg"]


def test_a_temporary_file_renamed_to_a_new_name_is_one_creation(bench: Bench) -> None:
    bench.write(".tmpx")
    bench.move(".tmpx", "new.cfg")
    assert bench.wait(1) == ["create_file new.cfg"]


def test_atomic_replacement_of_gcode_waits_for_metadata(bench: Bench) -> None:
    bench.write(".tmpx")
    bench.move(".tmpx", "b.gcode", replaced=True)
    assert bench.wait(1) == []
    bench.scan("b.gcode")
    assert bench.told() == ["move_file .tmpx->b.gcode"]


def test_renames_are_told_at_once(bench: Bench) -> None:
    bench.valid.add(at("b.gcode"))
    bench.move("a.gcode", "b.gcode")
    bench.see(Event.DIR_MOVED, "config:d", "d")
    assert bench.told() == ["move_file a.gcode->b.gcode", "move_dir d->config/d"]


def test_renaming_a_file_that_is_not_announced_announces_the_new_name(bench: Bench) -> None:
    bench.write("a.gcode")
    bench.move("a.gcode", "b.gcode")
    bench.scan("a.gcode")
    assert bench.wait(1) == []
    bench.scan("b.gcode")
    assert bench.told() == ["create_file b.gcode"]


def test_a_file_that_goes_before_it_was_told_is_never_told(bench: Bench) -> None:
    bench.write("a.gcode")
    bench.see(Event.FILE_VANISHED, "a.gcode")
    bench.scan("a.gcode")
    assert bench.wait(3) == []


def test_removal_and_creation_at_once_are_both_told_in_order(bench: Bench) -> None:
    bench.see(Event.FILE_VANISHED, "n.txt")
    bench.write("n.txt")
    assert bench.wait(1) == ["delete_file n.txt", "create_file n.txt"]


def test_removal_waits_to_see_whether_the_folder_goes_too(bench: Bench) -> None:
    for name in ("d/a", "d/e/b", "d/e/c"):
        bench.see(Event.FILE_VANISHED, name)
    bench.see(Event.DIR_VANISHED, "d/e")
    bench.see(Event.DIR_VANISHED, "d")
    assert bench.wait(2) == ["delete_dir d"]


def test_single_removals_are_told_after_a_moment(bench: Bench) -> None:
    bench.see(Event.FILE_VANISHED, "d/a")
    assert bench.wait(DELETE_SETTLE - 0.01) == []
    assert bench.wait(0.02) == ["delete_file d/a"]


def test_a_slow_removal_of_a_tree_stays_one_event(bench: Bench) -> None:
    for number in range(10):
        bench.see(Event.FILE_VANISHED, f"d/{number}")
        assert bench.wait(0.2) == []
    bench.see(Event.DIR_VANISHED, "d")
    assert bench.wait(1) == ["delete_dir d"]


def test_removals_that_never_end_are_told_in_time(bench: Bench) -> None:
    told: list[str] = []
    for number in range(60):
        bench.see(Event.FILE_VANISHED, f"d/{number}")
        told += bench.wait(0.1)
    assert len(told) >= int(DELETE_LIMIT / 0.1) - 1
    told += bench.wait(1)
    assert told == [f"delete_file d/{number}" for number in range(60)]


def test_copying_a_tree_is_one_event(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "d")
    for name in ("d/a.gcode", "d/b.txt"):
        bench.write(name)
    bench.see(Event.DIR_APPEARED, "d/e")
    bench.write("d/e/c.gcode")
    assert bench.wait(TREE_SETTLE + 0.01) == ["create_dir d"]
    assert bench.scan("d/a.gcode") is False
    assert bench.wait(3) == []


def test_a_file_still_written_when_its_folder_is_told_comes_later(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "d")
    bench.see(Event.FILE_APPEARED, "d/big.txt")
    assert bench.wait(1) == ["create_dir d"]
    bench.rewrite("d/big.txt")
    assert bench.wait(1) == ["create_file d/big.txt"]


def test_a_folder_that_is_filled_for_long_is_told_in_time(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "d")
    told: list[str] = []
    for number in range(30):
        bench.write(f"d/{number}")
        told += bench.wait(0.1)
    told += bench.wait(1)
    assert told[0] == "create_dir d"
    first = round(TREE_LIMIT / 0.1)
    assert told[1:] == [f"create_file d/{number}" for number in range(first, 30)] or told[1:] == [
        f"create_file d/{number}" for number in range(first + 1, 30)
    ]


def test_a_new_folder_waits_for_the_scans_in_it_but_not_for_long(bench: Bench) -> None:
    busy = [True]
    bench.reducer = Reducer(lambda place: False, bench.asked.append, lambda folder: busy[0])
    bench.see(Event.DIR_APPEARED, "d")
    assert bench.wait(1) == []
    busy[0] = False
    assert bench.wait(0.1) == ["create_dir d"]
    busy[0] = True
    bench.see(Event.DIR_APPEARED, "e")
    assert bench.wait(TREE_LIMIT - 0.1) == []
    assert bench.wait(0.2) == ["create_dir e"]


def test_mkdir_and_rename_are_one_creation(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "q1")
    bench.write("q1/f.gcode")
    bench.see(Event.DIR_MOVED, "q2", "q1")
    assert bench.wait(1) == ["create_dir q2"]


def test_a_new_folder_that_goes_at_once_is_never_told(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "q")
    bench.write("q/f")
    bench.see(Event.FILE_VANISHED, "q/f")
    bench.see(Event.DIR_VANISHED, "q")
    assert bench.wait(1) == []


def test_a_known_file_moved_into_a_new_folder_tells_the_folder_first(bench: Bench) -> None:
    bench.valid.add(at("d/a.gcode"))
    bench.see(Event.DIR_APPEARED, "d")
    bench.move("a.gcode", "d/a.gcode")
    assert bench.wait(1) == ["create_dir d", "move_file a.gcode->d/a.gcode"]


def test_a_file_moved_out_of_a_new_folder_is_new(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "d")
    bench.write("d/a.txt")
    bench.move("d/a.txt", "a.txt")
    assert bench.wait(1) == ["create_file a.txt", "create_dir d"]


def test_a_known_folder_moved_into_a_new_one(bench: Bench) -> None:
    bench.see(Event.DIR_APPEARED, "new")
    bench.see(Event.DIR_MOVED, "new/old", "old")
    assert bench.wait(1) == ["create_dir new", "move_dir old->new/old"]


def test_what_waits_below_a_folder_moves_with_it(bench: Bench) -> None:
    bench.write("d/a.gcode")
    bench.see(Event.FILE_VANISHED, "d/gone.txt")
    bench.see(Event.DIR_MOVED, "e", "d")
    bench.scan("e/a.gcode")
    assert bench.wait(1) == ["move_dir d->e", "create_file e/a.gcode", "delete_file e/gone.txt"]


def test_a_move_that_waits_and_then_vanishes_is_a_removal_at_the_source(bench: Bench) -> None:
    bench.move("a.txt", "a.gcode")
    bench.see(Event.FILE_VANISHED, "a.gcode")
    assert bench.wait(1) == ["delete_file a.txt"]


def test_a_move_over_a_known_file_that_then_vanishes_removes_both(bench: Bench) -> None:
    bench.move("a.txt", "a.gcode", replaced=True)
    bench.see(Event.FILE_VANISHED, "a.gcode")
    assert sorted(bench.wait(1)) == ["delete_file a.gcode", "delete_file a.txt"]


def test_a_move_into_a_folder_that_vanishes_is_a_removal_at_the_source(bench: Bench) -> None:
    bench.move("a.txt", "d/a.gcode")
    bench.see(Event.DIR_VANISHED, "d")
    assert sorted(bench.wait(1)) == ["delete_dir d", "delete_file a.txt"]


def test_two_moves_in_a_row_before_the_scan_are_one(bench: Bench) -> None:
    bench.move("a.txt", "b.gcode")
    bench.move("b.gcode", "c.gcode")
    bench.scan("c.gcode")
    assert bench.told() == ["move_file a.txt->c.gcode"]


def test_a_file_moved_while_it_is_written_is_told_again_when_closed(bench: Bench) -> None:
    bench.see(Event.FILE_WRITTEN, "a.log")
    bench.move("a.log", "b.log")
    assert bench.told() == ["move_file a.log->b.log"]
    bench.see(Event.FILE_CLOSED, "b.log")
    assert bench.wait(1) == ["modify_file b.log"]


def test_a_new_file_renamed_while_it_is_written_waits_for_its_close(bench: Bench) -> None:
    bench.see(Event.FILE_APPEARED, "a.log")
    bench.move("a.log", "b.log")
    assert bench.wait(1) == []
    bench.rewrite("b.log")
    assert bench.wait(1) == ["create_file b.log"]


def test_a_file_that_is_never_closed_is_told_after_a_while(bench: Bench) -> None:
    bench.see(Event.FILE_APPEARED, "linked")
    assert bench.wait(OPEN_LIMIT - 1) == []
    bench.see(Event.FILE_WRITTEN, "linked")
    assert bench.wait(OPEN_LIMIT - 1) == []
    assert bench.wait(2) == ["create_file linked"]


def test_a_link_is_told_without_a_close(bench: Bench) -> None:
    bench.see(Event.FILE_APPEARED, "sl.gcode", complete=True)
    bench.scan("sl.gcode")
    assert bench.wait(CREATE_HOLD) == ["create_file sl.gcode"]


def test_an_operation_is_told_instead_of_what_is_seen_of_it(bench: Bench) -> None:
    operation = bench.reducer.begin(files=[at("a.gcode")], trees=[at("up")])
    bench.see(Event.DIR_APPEARED, "up")
    bench.write("up/x.txt")
    bench.write("a.gcode")
    bench.write("other.txt")
    bench.reducer.commit(
        operation, [Change(Action.CREATE_DIR, at("up")), Change(Action.CREATE_FILE, at("a.gcode"))], bench.now
    )
    assert bench.wait(3) == ["create_dir up", "create_file a.gcode", "create_file other.txt"]
    assert bench.asked == []


def test_a_failed_operation_leaves_what_was_seen(bench: Bench) -> None:
    operation = bench.reducer.begin(files=[at("x.txt")])
    bench.write("x.txt")
    bench.reducer.rollback(operation, bench.now)
    assert bench.wait(1) == ["create_file x.txt"]


def test_an_operation_comes_after_a_removal_that_was_waiting(bench: Bench) -> None:
    bench.see(Event.FILE_VANISHED, "x.txt")
    operation = bench.reducer.begin(files=[at("x.txt")])
    bench.reducer.commit(operation, [Change(Action.CREATE_FILE, at("x.txt"))], bench.now)
    assert bench.wait(1) == ["delete_file x.txt", "create_file x.txt"]


def test_an_operation_replaces_what_was_waiting_for_the_same_file(bench: Bench) -> None:
    bench.write("x.gcode")
    operation = bench.reducer.begin(files=[at("x.gcode")])
    bench.see(Event.FILE_VANISHED, "x.gcode")
    bench.reducer.commit(operation, [Change(Action.DELETE_FILE, at("x.gcode"))], bench.now)
    bench.scan("x.gcode")
    assert bench.wait(1) == ["delete_file x.gcode"]


def test_an_api_move_of_a_folder_takes_along_what_waits_in_it(bench: Bench) -> None:
    bench.write("d/a.gcode")
    operation = bench.reducer.begin(trees=[at("d"), at("e")])
    bench.see(Event.DIR_MOVED, "e", "d")
    bench.reducer.commit(operation, [Change(Action.MOVE_DIR, at("e"), at("d"))], bench.now)
    bench.scan("e/a.gcode")
    assert bench.wait(1) == ["move_dir d->e", "create_file e/a.gcode"]


def test_many_new_folders_at_once_cost_no_more_than_each(bench: Bench) -> None:
    for number in range(3000):
        bench.see(Event.DIR_APPEARED, f"d{number}")
    assert len(bench.wait(1)) == 3000
