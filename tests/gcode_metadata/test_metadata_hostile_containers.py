"""Containers that were damaged, by chance or on purpose: no exception, little time, little memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.gcode_metadata import Metadata, heatshrink, meatpack, pixels, scan
from moonraker_lite.gcode_metadata.containers import ContainerError, kind_of, open_container
from tests.support import containers as make

DOTS = [(x * 9 % 256, y * 7 % 256, 30, 255) for y in range(12) for x in range(12)]
SAMPLES = {
    ".bgcode": make.bgcode(pictures=[(0, 20, 20, make.png(20, 20)), (2, 12, 12, make.qoi(12, 12, DOTS))]),
    ".gcode.3mf": make.three_mf({1: make.GCODE, 2: make.GCODE}),
    ".ufp": make.ufp(picture=make.png(20, 20)),
    ".gx": make.gx(picture=make.bmp(16, 16), second=make.png(20, 20)),
    ".g": make.colpic_block([[n, n, 99] for n in range(50)], large=True, line=60) + make.GCODE,
    ".gcode": make.mks_block([[1, 2, 3, 4] * 4] * 16, large=False) + make.qidi_block([[9] * 16] * 16) + make.GCODE,
}


class Sink:
    """Takes text and keeps none."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> int:
        self.written += len(data)
        return len(data)


def tried(path: Path, data: bytes) -> None:
    """Scan it, write its pictures, and write its print."""
    path.write_bytes(data)
    assert isinstance(scan(path, thumbs_dir=path.parent / ".thumbs"), Metadata)
    kind = kind_of(path.name, data)
    if kind is None:
        return
    sink = Sink()
    try:
        with open_container(path, kind) as container:
            container.write(sink)  # type: ignore[arg-type]
    except ContainerError as error:
        assert len(str(error)) > 10
    assert sink.written < 200 * len(data) + 70 * 1024 * 1024


@pytest.mark.parametrize("ending", SAMPLES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage(ending: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(SAMPLES[ending])
    for _ in range(data.draw(st.integers(0, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(whole)))
        del whole[start : start + data.draw(st.integers(0, len(whole)))]
    if data.draw(st.booleans()):
        where = data.draw(st.integers(0, len(whole)))
        whole[where:where] = data.draw(st.binary(max_size=64))
    tried(tmp_path_factory.mktemp("damage") / f"a{ending}", bytes(whole))


@pytest.mark.parametrize("ending", SAMPLES)
def test_every_cut(ending: str, tmp_path: Path) -> None:
    whole = SAMPLES[ending]
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        tried(tmp_path / f"a{ending}", whole[:end])


@given(st.binary(max_size=300), st.sampled_from([11, 12]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_to_the_decoders(data: bytes, window: int) -> None:
    assert len(heatshrink.slowly(data, window)) <= 8 * len(data) + 16
    assert len(meatpack.unpack(data)) <= 6 * len(data)
    assert len(meatpack.unpack(b"\xff\xff\xfb\xff\xff\xf7" + data)) <= 6 * len(data)
    for kind in ("qoi", "bmp", "rgb565"):
        pixels.to_png(kind, 8, 8, data)
    pixels.to_png("qoi", 0, 0, b"qoif" + struct.pack(">IIBB", 8, 8, 4, 0) + data)


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_heatshrink_gives_back_what_was_packed(data: bytes) -> None:
    assert heatshrink.slowly(make.heatshrink(data * 3, 11), 11)[: len(data) * 3] == data * 3


def _blocks(count: int) -> bytes:
    empty = struct.pack("<HHI", 4, 0, 0) + bytes(2)
    return struct.pack("<4sIH", b"GCDE", 1, 0) + empty * count


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("many_blocks.bgcode", _blocks(80_000)),
        ("facts.bgcode", struct.pack("<4sIH", b"GCDE", 1, 0) + make.block(4, bytes(2), b"a\n=\n" * 500_000, 1)),
        ("tables.bgcode", struct.pack("<4sIH", b"GCDE", 1, 0) + make.block(2, bytes(2), bytes(2_000_000), 1) * 60),
        ("bomb.gcode.3mf", make.three_mf({1: bytes(60 * 1024 * 1024)})),
        ("picture.ufp", make.zipped({"3D/model.gcode": b"G28\n", "Metadata/thumbnail.png": bytes(50_000_000)})),
        ("lines.gx", make.gx(b";a=b\n" * 200_000)),
    ],
)
def test_little_memory(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    scan(tmp_path / name)  # what is imported does not count
    tracemalloc.start()
    try:
        assert isinstance(scan(tmp_path / name), Metadata)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 1024 * 1024
