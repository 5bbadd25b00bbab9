"""The printer's own SD card: listing, printing, pausing, ending, writing and deleting, on the virtual Marlin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.marlin import card_print
from moonraker_lite.marlin.sdcard import CardFile, parse_listing, parse_progress, short_name
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, Rig, without_questions

MOVES = [f"G1 X{10 + index % 50} Y{20 + index % 9} F1200" for index in range(120)]


@pytest.fixture
async def board(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VirtualPrinter]:
    monkeypatch.setattr(card_print, "POLL", 0.05)
    board = VirtualPrinter(speed=20.0, keep=10_000, card=True)
    await board.start()
    yield board
    await board.close()


def put(board: VirtualPrinter, name: str, *lines: str) -> None:
    assert board.board.card is not None
    board.board.card.create(name.encode()).data = "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["BAD.GCO 0", "ALONG~85.GCO 7"],
            [CardFile("BAD.GCO", "BAD.GCO", 0), CardFile("ALONG~85.GCO", "ALONG~85.GCO", 7)],
        ),
        (["ALONG~85.GCO 7 A long file name.gcode"], [CardFile("ALONG~85.GCO", "A long file name.gcode", 7)]),
        (["TEST.GCO 85 0x28210800"], [CardFile("TEST.GCO", "TEST.GCO", 85, 0x28210800)]),
        (["SUB/X~1.GCO 7 0x28210800 A b.gcode"], [CardFile("SUB/X~1.GCO", "SUB/A b.gcode", 7, 0x28210800)]),
        ([], []),
    ],
)
def test_each_form_of_a_listing(lines: list[str], expected: list[CardFile]) -> None:
    assert parse_listing(["echo:busy: processing", "Begin file list", *lines, "End file list", "ok"]) == expected


def test_progress_and_short_names() -> None:
    assert parse_progress(["SD printing byte 12/85\r"]) == (12, 85)
    assert parse_progress(["Not SD printing"]) is None
    assert short_name("A long file name.gcode") == "ALONGFIL.GCO"
    assert short_name("ä.g") == "FILE.G"


async def test_what_is_on_the_card(make_rig: MakeRig, board: VirtualPrinter) -> None:
    rig = await make_rig(board)
    client = await rig.ready_client()
    put(board, "a long name.gcode", "G28")
    put(board, "B.GCO")
    files = (await client.result("sdcard/list"))["files"]
    assert [(file["path"], file["name"], file["size"]) for file in files] == [
        ("ALONG~10.GCO", "a long name.gcode", 4),
        ("B.GCO", "B.GCO", 0),
    ]
    assert "sdcard" in (await client.result("objects/list"))["objects"]
    assert (await client.status("sdcard"))["writable"]
    assert not [line for line in client.output if "file list" in line]


async def test_without_a_card_there_is_none(rig: Rig) -> None:
    client = await rig.ready_client()
    assert "sdcard" not in (await client.result("objects/list"))["objects"]
    answer = await client.call("sdcard/list")
    assert "no SD card" in answer["error"]["message"]
    answer = await client.script("SDCARD_PRINT_FILE FILENAME=sdcard/x.gco")
    assert answer["error"]["message"] == "Unable to open file"


async def test_the_place_of_the_head_in_a_print_from_the_card(make_rig: MakeRig, board: VirtualPrinter) -> None:
    rig = await make_rig(board)
    client = await rig.ready_client()
    put(board, "A.GCO", "G28", "G1 X100 Y66.5 F6000", *(f"G1 X{100 + at} F60" for at in range(90)))
    await client.script("SDCARD_PRINT_FILE FILENAME=sdcard/A.GCO")
    await rig.wait_until(lambda: rig.printer.machine.motion.position[1] == 66.5, 60)
    assert "M154 S1" in board.executed
    place = (await client.status("motion_report"))["live_position"]
    assert place[1] == 66.5
    await client.result("pause_resume/cancel")
    await rig.wait_until(lambda: "M154 S0" in board.executed, 60)
    assert "Y:66.50" not in " ".join(client.output)


async def test_a_print_from_the_card(make_rig: MakeRig, board: VirtualPrinter) -> None:
    rig = await make_rig(board)
    client = await rig.ready_client()
    put(board, "a long name.gcode", "G28", *MOVES)
    mark = len(board.executed)
    await client.script('SDCARD_PRINT_FILE FILENAME="sdcard/a long name.gcode"')
    await rig.wait_until(lambda: 0 < rig.printer.job.position < rig.printer.job.size, 60)
    stats = await client.status("print_stats")
    assert (stats["state"], stats["filename"]) == ("printing", "sdcard/a long name.gcode")
    assert 0.0 < (await client.status("virtual_sdcard"))["progress"] < 1.0
    answer = await client.call("sdcard/list")
    assert "while the printer prints" in answer["error"]["message"]
    await client.result("pause_resume/pause")
    assert (await client.status("print_stats"))["state"] == "paused"
    assert board.board.card is not None
    assert not board.board.card.printing
    await client.result("pause_resume/resume")
    assert await rig.job_ends(60) == "complete"
    assert [line for line in board.executed[mark:] if line in ("G28", *MOVES)] == ["G28", *MOVES]
    assert (await client.status("virtual_sdcard"))["progress"] == 1.0


async def test_ending_a_print_from_the_card(
    make_rig: MakeRig, board: VirtualPrinter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_print, "ABORT", 0.3)
    rig = await make_rig(board)
    client = await rig.ready_client()
    put(board, "A.GCO", "G28", "M104 S200", *MOVES * 20)
    await client.script("SDCARD_PRINT_FILE FILENAME=sdcard/A.GCO")
    await rig.wait_until(lambda: rig.printer.job.position > 0, 60)
    await client.result("pause_resume/cancel")
    assert await rig.job_ends(60) == "cancelled"
    assert board.board.card is not None
    assert board.board.card.selected is None
    assert without_questions(board.executed)[-2:] == ["M104 T0 S0", "M140 S0"]
    answer = await client.script("SDCARD_PRINT_FILE FILENAME=sdcard/none.gco")
    assert answer["error"]["message"] == "Unable to open file"


async def test_writing_to_the_card_and_deleting(make_rig: MakeRig, board: VirtualPrinter, tmp_path: Path) -> None:
    rig = await make_rig(board)
    client = await rig.ready_client()
    path = rig.gcodes / "new part.gcode"
    path.write_text("; made for a test\nG28 ; home\n\n" + "".join(f"{line}\n" for line in MOVES) + "M117 Hello")
    answer = await client.result("sdcard/upload", path=str(path), name="new part.gcode")
    assert answer["file"]["name"] == "new part.gcode"
    assert board.board.card is not None
    stored = board.board.card.files[answer["file"]["path"].encode()].data.decode().splitlines()
    assert [line for line in stored if line != "M105"] == ["G28", *MOVES, "M117 Hello"]
    assert not board.board.receiver.saving
    assert "G1 X10 Y20 F1200" not in board.executed
    assert (await client.result("sdcard/delete", name="new part.gcode"))["files"] == []
    answer = await client.call("sdcard/delete", name="new part.gcode")
    assert answer["error"]["message"] == "There is no new part.gcode on the SD card"
    answer = await client.call("sdcard/upload", path=str(rig.gcodes / "none"), name="x.gco")
    assert "cannot be read" in answer["error"]["message"]
    (tmp_path / "secret").write_text("G28")
    (rig.gcodes / "link").symlink_to(tmp_path / "secret")
    for outside in (tmp_path / "secret", rig.gcodes / "link", rig.gcodes / ".." / ".." / "secret"):
        answer = await client.call("sdcard/upload", path=str(outside), name="x.gco")
        assert "is not in the folder" in answer["error"]["message"]
