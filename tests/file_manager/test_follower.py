"""The follower against a real disk and the real inotify: the index equals what is there."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moonraker_lite.components.file_manager import follower as follower_module
from moonraker_lite.components.file_manager.changes import Event, Observation, Place
from moonraker_lite.components.file_manager.follower import Follower
from moonraker_lite.components.file_manager.index import Index, Node
from moonraker_lite.components.file_manager.kernel import OVERFLOW
from moonraker_lite.components.file_manager.roots import Reserved, Root


class Mirror:
    """A follower of two roots that keeps all it reports."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.index = Index()
        self.reserved = Reserved()
        self.seen: list[Observation] = []
        self.found: list[Place] = []
        self.pool = ThreadPoolExecutor(2)
        self.follower = Follower(self.index, self.reserved, self.pool, self.seen.extend, self.found.extend)

    async def start(self, *, watch: bool = True) -> None:
        self.reserved.add(self.base / "database")
        for name in ("gcodes", "config", "database", "outside"):
            (self.base / name).mkdir(exist_ok=True)
        self.follower.start(watch=watch)
        for name in ("gcodes", "config"):
            await self.follower.add_root(Root(name, self.base / name))

    async def stop(self) -> None:
        await self.follower.stop()
        self.pool.shutdown()

    def path(self, *parts: str) -> Path:
        return self.base.joinpath("gcodes", *parts)

    async def events(self) -> list[str]:
        await self.follower.settle()
        seen, self.seen[:] = list(self.seen), []
        return [
            f"{one.event.name} {f'{one.source}->' if one.source else ''}{one.place}".replace("gcodes/", "")
            for one in seen
        ]

    def listed(self) -> dict[str, tuple[int, int] | None]:
        """What the index holds: files with size and time, folders with None."""
        result: dict[str, tuple[int, int] | None] = {}

        def walk(node: Node, prefix: str) -> None:
            for name, entry in node.entries.items():
                if entry.visible:
                    result[prefix + name] = (entry.size, entry.mtime_ns)
            for name, below in node.folders.items():
                result[prefix + name] = None
                walk(below, f"{prefix}{name}/")

        for name, node in self.index.roots.items():
            walk(node, f"{name}/")
        return result

    def on_disk(self) -> dict[str, tuple[int, int] | None]:
        result: dict[str, tuple[int, int] | None] = {}
        for root in ("gcodes", "config"):
            for folder, folders, files in os.walk(self.base / root):
                for name in folders:
                    result[os.path.relpath(os.path.join(folder, name), self.base)] = None
                for name in files:
                    found = os.stat(os.path.join(folder, name))
                    result[os.path.relpath(os.path.join(folder, name), self.base)] = (found.st_size, found.st_mtime_ns)
        return result


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(tmp_path)
    await mirror.start()
    yield mirror
    await mirror.stop()


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def test_writing_a_file(mirror: Mirror) -> None:
    put(mirror.path("a.txt"))
    assert await mirror.events() == ["FILE_APPEARED a.txt", "FILE_WRITTEN a.txt", "FILE_CLOSED a.txt"]
    assert mirror.listed() == mirror.on_disk()
    with mirror.path("a.txt").open("a") as file:
        file.write("more")
    assert await mirror.events() == ["FILE_WRITTEN a.txt", "FILE_CLOSED a.txt"]
    assert mirror.listed() == mirror.on_disk()


async def test_touch_and_chmod_are_silent_and_known(mirror: Mirror) -> None:
    put(mirror.path("a.txt"))
    await mirror.events()
    os.utime(mirror.path("a.txt"), (1, 1))
    mirror.path("a.txt").chmod(0o600)
    assert await mirror.events() == ["FILE_TOUCHED a.txt"]
    assert mirror.listed() == mirror.on_disk()
    await asyncio.to_thread(subprocess.run, ["touch", str(mirror.path("a.txt"))], check=True)
    assert await mirror.events() == ["FILE_TOUCHED a.txt", "FILE_CLOSED a.txt"]
    assert mirror.listed() == mirror.on_disk()


async def test_a_copy_that_keeps_times_is_a_change(mirror: Mirror) -> None:
    put(mirror.path("a.txt"), "old")
    source = put(mirror.base / "outside" / "a.txt", "new")
    os.utime(source, (1, 1))
    await mirror.events()
    shutil.copy2(source, mirror.path("a.txt"))
    assert "FILE_WRITTEN a.txt" in await mirror.events()
    assert mirror.listed() == mirror.on_disk()


async def test_moves(mirror: Mirror) -> None:
    put(mirror.path("a.txt"))
    put(mirror.path("d", "b.txt"))
    await mirror.events()
    mirror.path("a.txt").rename(mirror.path("d", "c.txt"))
    mirror.path("d").rename(mirror.base / "config" / "e")
    assert await mirror.events() == ["FILE_MOVED a.txt->d/c.txt", "DIR_MOVED d->config/e"]
    put(mirror.base / "config" / "e" / "new.txt")
    assert (await mirror.events())[0] == "FILE_APPEARED config/e/new.txt"
    assert mirror.listed() == mirror.on_disk()


async def test_moving_out_and_in(mirror: Mirror) -> None:
    put(mirror.path("d", "b.txt"))
    put(mirror.path("a.txt"))
    await mirror.events()
    mirror.path("a.txt").rename(mirror.base / "outside" / "a.txt")
    mirror.path("d").rename(mirror.base / "outside" / "d")
    await mirror.events()
    await asyncio.sleep(0.15)
    assert await mirror.events() == ["FILE_VANISHED a.txt", "DIR_VANISHED d"]
    put(mirror.base / "outside" / "d" / "unseen.txt")
    assert await mirror.events() == []
    (mirror.base / "outside" / "a.txt").rename(mirror.path("a2.txt"))
    (mirror.base / "outside" / "d").rename(mirror.path("d2"))
    assert await mirror.events() == ["FILE_APPEARED a2.txt", "DIR_APPEARED d2"]
    assert Place("gcodes", "d2/unseen.txt") in mirror.found
    assert mirror.listed() == mirror.on_disk()


async def test_moving_in_over_a_file_is_a_change(mirror: Mirror) -> None:
    put(mirror.path("a.txt"), "old")
    put(mirror.base / "outside" / "a.txt", "newer")
    await mirror.events()
    (mirror.base / "outside" / "a.txt").rename(mirror.path("a.txt"))
    assert await mirror.events() == ["FILE_WRITTEN a.txt", "FILE_CLOSED a.txt"]


async def test_a_tree_made_at_once_is_read_whole(mirror: Mirror) -> None:
    for number in range(20):
        put(mirror.path("x", "y", "z", str(number), "f.txt"))
    events = await mirror.events()
    assert events[0] == "DIR_APPEARED x"
    assert mirror.listed() == mirror.on_disk()
    put(mirror.path("x", "y", "z", "7", "g.txt"))
    await mirror.events()
    assert mirror.listed() == mirror.on_disk()


async def test_removing_a_tree(mirror: Mirror) -> None:
    put(mirror.path("x", "y", "f.txt"))
    await mirror.events()
    shutil.rmtree(mirror.path("x"))
    assert await mirror.events() == ["FILE_VANISHED x/y/f.txt", "DIR_VANISHED x/y", "DIR_VANISHED x"]
    assert mirror.listed() == {}
    assert len(mirror.index.by_wd) == len(mirror.index.by_key) == 2


async def test_temporary_and_undecodable_names_are_not_seen(mirror: Mirror) -> None:
    put(mirror.path(".upload-0123456789abcdef.part"))
    with open(os.fsencode(mirror.path()) + b"/bad\xff.gcode", "wb"):
        pass
    put(mirror.path("d", ".upload-0123456789abcdef.part"))
    assert await mirror.events() == ["DIR_APPEARED d"]
    assert mirror.listed() == {"gcodes/d": None}
    assert not mirror.path("d", ".upload-0123456789abcdef.part").exists()  # found unlocked while reading: swept


async def test_links(mirror: Mirror) -> None:
    put(mirror.path("sub", "f.txt"))
    put(mirror.base / "outside" / "usb" / "u.txt")
    await mirror.events()
    mirror.path("link.txt").symlink_to(mirror.path("sub", "f.txt"))
    mirror.path("linkdir").symlink_to(mirror.path("sub"))
    mirror.path("loop").symlink_to(mirror.path())
    mirror.path("usb").symlink_to(mirror.base / "outside" / "usb")
    mirror.path("usb2").symlink_to(mirror.base / "outside" / "usb")
    mirror.path("broken.gcode").symlink_to("/nonexistent")
    mirror.path("db").symlink_to(mirror.base / "database")
    assert await mirror.events() == [
        "FILE_APPEARED link.txt",
        "DIR_APPEARED linkdir",
        "DIR_APPEARED loop",
        "DIR_APPEARED usb",
        "DIR_APPEARED usb2",
        "FILE_APPEARED db",
    ]
    root = mirror.index.roots["gcodes"]
    assert set(root.folders) == {"sub", "usb"}
    assert set(root.aliases) == {"linkdir", "loop", "usb2"}
    assert root.entries["db"].reserved
    assert root.entries["link.txt"].link
    assert not root.entries["broken.gcode"].visible
    assert mirror.index.entry(Place("gcodes", "loop/loop/linkdir/f.txt")) is not None
    put(mirror.base / "outside" / "usb" / "later.txt")
    assert (await mirror.events())[0] == "FILE_APPEARED usb/later.txt"
    mirror.path("usb").unlink()
    assert await mirror.events() == ["DIR_VANISHED usb"]
    assert set(root.folders) == {"sub", "usb2"}
    assert mirror.index.entry(Place("gcodes", "usb2/later.txt")) is not None
    put(mirror.base / "outside" / "usb" / "third.txt")
    assert (await mirror.events())[0] == "FILE_APPEARED usb2/third.txt"
    mirror.path("linkdir").unlink()
    mirror.path("broken.gcode").unlink()
    assert await mirror.events() == ["DIR_VANISHED linkdir"]


async def test_a_real_folder_wins_over_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "gcodes").mkdir()
    put(tmp_path / "gcodes" / "zz" / "f.txt")
    (tmp_path / "gcodes" / "aa").symlink_to(tmp_path / "gcodes" / "zz")
    mirror = Mirror(tmp_path)
    await mirror.start()
    assert [path for path, _ in mirror.index.files("gcodes")] == ["zz/f.txt"]
    await mirror.stop()


async def test_hard_links_are_silent(mirror: Mirror) -> None:
    put(mirror.path("a.gcode"))
    await mirror.events()
    os.link(mirror.path("a.gcode"), mirror.path("h.gcode"))
    assert await mirror.events() == []
    assert mirror.found == [Place("gcodes", "h.gcode")]
    assert mirror.listed() == mirror.on_disk()


async def test_git_and_reserved_folders_are_not_entered(mirror: Mirror) -> None:
    put(mirror.path(".git", "config"))
    await mirror.events()
    node = mirror.index.roots["gcodes"].folders[".git"]
    assert node.reserved
    assert not node.entries
    assert mirror.index.folder(Place("gcodes", ".git")) is None


async def test_pipes_and_sockets_are_not_shown(mirror: Mirror) -> None:
    os.mkfifo(mirror.path("pipe.gcode"))
    assert await mirror.events() == []
    assert mirror.listed() == {}


async def test_a_lost_queue_is_made_good_by_comparing(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    put(mirror.path("stays.txt"))
    put(mirror.path("goes.txt"))
    put(mirror.path("d", "goes.txt"))
    await mirror.events()
    kernel = mirror.follower._kernel
    assert kernel is not None
    monkeypatch.setattr(kernel, "read", lambda: [struct.pack("iIII", -1, OVERFLOW, 0, 0)])
    mirror.path("goes.txt").unlink()
    shutil.rmtree(mirror.path("d"))
    put(mirror.path("stays.txt"), "other content")
    put(mirror.path("new", "deep", "f.txt"))
    mirror.path("new", "link").symlink_to(mirror.path("new", "deep"))
    assert sorted(await mirror.events()) == [
        "DIR_APPEARED new",
        "DIR_VANISHED d",
        "FILE_CLOSED stays.txt",
        "FILE_VANISHED goes.txt",
        "FILE_WRITTEN stays.txt",
    ]
    monkeypatch.undo()
    # The events of what the comparison found already: a close alone means nothing.
    assert [event for event in await mirror.events() if not event.startswith("FILE_CLOSED")] == []
    put(mirror.path("new", "deep", "g.txt"))
    assert (await mirror.events())[0] == "FILE_APPEARED new/deep/g.txt"


async def test_a_real_overflow_of_the_kernel_queue(mirror: Mirror) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"the kernel queues {limit} events; flooding that takes too long")
    one, two = put(mirror.path("one")), put(mirror.path("two"))
    for number in range(limit // 2 + 200):  # the loop does not run meanwhile, so nothing is read
        one.chmod(0o600 + number % 2)
        two.chmod(0o600 + number % 2)
    put(mirror.path("last.txt"))
    await mirror.events()
    assert mirror.listed() == mirror.on_disk()


async def test_without_watches_left_folders_are_polled(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = mirror.follower._kernel
    assert kernel is not None

    def none_left(path: str) -> int | None:
        kernel.exhausted = True
        return None

    monkeypatch.setattr(kernel, "add", none_left)
    put(mirror.path("d", "a.txt"))
    assert await mirror.events() == ["DIR_APPEARED d"]
    assert mirror.follower.exhausted
    put(mirror.path("d", "b.txt"))
    assert await mirror.events() == []
    await mirror.follower.settle([Place("gcodes", "d/b.txt")])
    assert await mirror.events() == ["FILE_APPEARED d/b.txt"]
    assert mirror.listed() == mirror.on_disk()


async def test_polling_runs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "POLL_SECONDS", 0.05)
    mirror = Mirror(tmp_path)
    await mirror.start(watch=False)
    put(mirror.path("a.txt"))
    async with asyncio.timeout(5):
        while not mirror.seen:
            await asyncio.sleep(0.01)
    assert mirror.seen[0].event is Event.FILE_APPEARED
    await mirror.stop()


async def test_a_root_that_is_removed_and_made_again(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    put(mirror.path("a.txt"))
    await mirror.events()
    shutil.rmtree(mirror.path())
    assert "FILE_VANISHED a.txt" in await mirror.events()
    assert mirror.listed() == {}
    put(mirror.path("b.txt"))
    await mirror.follower.settle([Place("gcodes", "b.txt")])
    assert await mirror.events() == ["FILE_APPEARED b.txt"]
    put(mirror.path("c.txt"))
    assert (await mirror.events())[0] == "FILE_APPEARED c.txt"


async def test_ten_thousand_files_at_once(mirror: Mirror) -> None:
    def burst() -> None:
        for number in range(10_000):
            with open(mirror.path(f"f{number}.txt"), "w") as file:
                file.write("x")

    await asyncio.to_thread(burst)
    await mirror.events()
    assert len(mirror.listed()) == 10_000
    assert mirror.listed() == mirror.on_disk()


def random_work(base: Path, chance: random.Random) -> Iterator[None]:
    """Do anything that a user could do to the roots, one action per step."""

    def anywhere() -> Path:
        return base / chance.choice(["gcodes", "config"]) / "/".join(chance.choices("abc", k=chance.randint(1, 3)))

    for _ in range(150):
        one, two = anywhere(), anywhere()
        try:
            match chance.randint(0, 7):
                case 0 | 1:
                    one.write_text("x" * chance.randint(0, 9))
                case 2:
                    one.mkdir(parents=chance.random() < 0.5)
                case 3:
                    one.rename(two)
                case 4:
                    one.unlink()
                case 5:
                    shutil.rmtree(one)
                case 6:
                    one.rename(base / "outside" / f"{chance.random()}")
                case 7:
                    left = list((base / "outside").iterdir())
                    if left:
                        chance.choice(left).rename(one)
        except OSError:
            pass
        yield


@pytest.mark.parametrize("seed", range(12))
async def test_the_index_equals_the_disk_after_anything(mirror: Mirror, seed: int) -> None:
    """Actions run in another thread at full speed or step by step, with the follower reading in between."""
    chance = random.Random(seed)
    work = random_work(mirror.base, chance)
    if seed % 2:
        await asyncio.to_thread(lambda: [None for _ in work])
    else:
        for _ in work:
            if chance.random() < 0.3:
                await mirror.follower.settle()
    await asyncio.sleep(0.12)  # the second half of a move has this long
    await mirror.follower.settle()
    await mirror.follower.settle()
    assert mirror.listed() == mirror.on_disk()
    watched = {node for top in mirror.index.roots.values() for node in top.walk()}
    assert set(mirror.index.by_wd.values()) == watched
