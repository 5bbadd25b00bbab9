"""Reading files: every line once, exact offsets, any bytes, any chunk size."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode import reader
from moonraker_lite.marlin.gcode.reader import FileChanged, GcodeFile


async def read_all(path: Path, offset: int = 0, chunk: int = 64 * 1024) -> list[bytes]:
    found: list[bytes] = []
    with GcodeFile(path, offset, chunk) as file:
        while lines := await file.lines():
            found += lines
    return found


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.binary(max_size=300), st.text(alphabet="G1X \r\n;", max_size=300).map(str.encode)),
    chunk=st.integers(min_value=1, max_value=50),
)
def test_lines_are_the_same_whatever_the_chunks(tmp_path: Path, data: bytes, chunk: int) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(data)
    assert asyncio.run(read_all(path, chunk=chunk)) == data.splitlines(keepends=True)


async def test_reading_begins_where_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G28\nG1 X1\nG1 X2\n")
    assert await read_all(path, offset=4) == [b"G1 X1\n", b"G1 X2\n"]


async def test_memory_is_bounded_without_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_LINE", 1000)
    path = tmp_path / "a.gcode"
    path.write_bytes(b"x" * 10_000)
    pieces = await read_all(path, chunk=500)
    assert sum(len(piece) for piece in pieces) == 10_000
    assert max(len(piece) for piece in pieces) <= 1500


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("length", [1999, 2000, 2001, 2499, 2500, 5000, 5001])
async def test_the_rest_of_an_endless_line_is_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: bytes
) -> None:
    """Slicers write whole scripts and pictures into one comment; a piece of it must not reach the printer."""
    monkeypatch.setattr(reader, "MAX_LINE", 1000)
    path = tmp_path / "a.gcode"
    data = b"G28" + end + b";" + (b"M104 S300 " * 600)[:length] + end + b"G1 X1" + end
    path.write_bytes(data)
    pieces = await read_all(path, chunk=500)
    assert [piece.strip() for piece in pieces if piece.strip() and not piece.startswith(b";")] == [b"G28", b"G1 X1"]
    assert [len(line) for line in pieces if line.startswith(b"G1")] == [5 + len(end)]
    assert sum(len(piece) for piece in pieces) == len(data)


@pytest.mark.parametrize("left", [0, 100, 250])
async def test_a_file_that_is_cut_short_is_told(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G28\n" * 1000)
    with GcodeFile(path, chunk=100) as file:
        await file.lines()
        os.truncate(path, left)
        with pytest.raises(FileChanged, match=r"cut short|changed"):
            while await file.lines():
                pass


async def test_a_file_that_is_written_over_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G1 X1\n" * 1000)
    os.utime(path, ns=(1, 1))  # the clock of a file system may tick only every few milliseconds
    with GcodeFile(path, chunk=120) as file:
        await file.lines()
        with path.open("r+b") as other:
            other.write(b"G1 X2\n" * 2000)
        with pytest.raises(FileChanged, match="changed"):
            while await file.lines():
                pass


async def test_a_file_may_be_touched_appended_replaced_and_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G1 X1\n" * 1000)
    found = 0
    with GcodeFile(path, chunk=120) as file:
        found += len(await file.lines())
        os.utime(path, ns=(1, 1))
        found += len(await file.lines())
        with path.open("ab") as more:
            more.write(b"G1 X2\n")
        found += len(await file.lines())
        other = tmp_path / "b.gcode"
        other.write_bytes(b"G1 X3\n")
        other.replace(path)
        found += len(await file.lines())
        path.unlink()
        while lines := await file.lines():
            found += len(lines)
    assert found == 1001


async def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GcodeFile(tmp_path / "none.gcode")


async def test_closing_twice_and_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G28\n" * 1000)
    file = GcodeFile(path, chunk=100)
    await file.lines()
    file.close()
    file.close()
