"""Reading files: every line once, exact offsets, any bytes, any chunk size."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode import reader
from moonraker_lite.marlin.gcode.reader import GcodeFile


async def read_all(path: Path, offset: int = 0, chunk: int = 64 * 1024) -> list[bytes]:
    found: list[bytes] = []
    async with GcodeFile(path, offset, chunk) as file:
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
    assert b"".join(pieces) == b"x" * 10_000
    assert max(len(piece) for piece in pieces) <= 1500


async def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GcodeFile(tmp_path / "none.gcode")


async def test_closing_twice_and_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_bytes(b"G28\n" * 1000)
    file = GcodeFile(path, chunk=100)
    await file.lines()
    await file.close()
    await file.close()
