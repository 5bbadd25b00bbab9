"""Prints in containers: their facts, their pictures, and the text that is printed."""

from __future__ import annotations

import io
import re
import struct
import sys
from pathlib import Path

import pytest

from moonraker_lite.gcode_metadata import Metadata, heatshrink, is_gcode_name, meatpack, scan
from moonraker_lite.gcode_metadata.containers import ContainerError, Kind, kind_of, open_container, text_name, unpack
from moonraker_lite.gcode_metadata.moves_pass import scan_moves
from tests.support import containers as make

ZEROS = "G1 X1 Y1 E1\n" * 400


def written(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def text_of(tmp_path: Path, name: str, data: bytes, plate: int = 0) -> bytes:
    target = tmp_path / "out.gcode"
    unpack(written(tmp_path, name, data), target, plate)
    return target.read_bytes()


def commands(text: bytes) -> list[str]:
    """Lines without comments and empty ones."""
    lines = (line.partition(";")[0].strip() for line in text.decode().splitlines())
    return [line for line in lines if line]


# -- binary G-code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [make.RAW, make.DEFLATE, make.HEATSHRINK_11, make.HEATSHRINK_12])
@pytest.mark.parametrize("encoding", [make.PLAIN, make.MEATPACK, make.MEATPACK_COMMENTS])
def test_bgcode_becomes_the_text_it_was_made_of(tmp_path: Path, compression: int, encoding: int) -> None:
    text = text_of(tmp_path, "a.bgcode", make.bgcode(compression=compression, encoding=encoding))
    assert commands(text) == commands(make.GCODE)
    assert ("äöü".encode() in text) is (encoding != make.MEATPACK)


def test_bgcode_states_its_facts_without_its_gcode(tmp_path: Path) -> None:
    picture = make.png(220, 124)
    dots = [(x * 3 % 256, y * 5 % 256, 128, 255) for y in range(16) for x in range(16)]
    data = make.bgcode(pictures=[(0, 220, 124, picture), (2, 16, 16, make.qoi(16, 16, dots))])
    found = scan(written(tmp_path, "a.bgcode", data), thumbs_dir=tmp_path / ".thumbs")
    assert (found.slicer, found.slicer_version) == ("PrusaSlicer", "2.8.1")
    assert (found.size, found.problem) == (len(data), None)
    assert (found.estimated_time, found.layer_height, found.first_layer_height) == (1926, 0.15, 0.2)
    assert (found.object_height, found.filament_total, found.filament_type) == (18.05, 986.61, "PETG")
    assert (found.gcode_start_byte, found.gcode_end_byte) == (None, None)
    sizes = {(item.width, item.height): item for item in found.thumbnails or []}
    assert {(220, 124), (16, 16)} < set(sizes)
    assert (tmp_path / sizes[220, 124].relative_path).read_bytes() == picture
    assert (tmp_path / ".thumbs/a-16x16.png").read_bytes().startswith(b"\x89PNG")


def test_text_of_bgcode_says_the_same_as_the_bgcode(tmp_path: Path) -> None:
    data = make.bgcode(ZEROS, pictures=[(0, 64, 48, make.png(64, 48))], per_block=100)
    packed = scan(written(tmp_path, "a.bgcode", data), thumbs_dir=tmp_path / ".thumbs")
    text_of(tmp_path, "a.bgcode", data)
    text = scan(tmp_path / "out.gcode", thumbs_dir=tmp_path / ".thumbs")
    for field in ("slicer", "slicer_version", "estimated_time", "object_height", "filament_total", "filament_type"):
        assert getattr(text, field) == getattr(packed, field), field
    assert [(item.width, item.height) for item in text.thumbnails or []] == [
        (item.width, item.height) for item in packed.thumbnails or []
    ]


def test_bgcode_under_the_name_of_text(tmp_path: Path) -> None:
    assert scan(written(tmp_path, "a.gcode", make.bgcode())).slicer_version == "2.8.1"


def test_bgcode_without_checksums(tmp_path: Path) -> None:
    data = make.bgcode(checksum=False)
    assert commands(text_of(tmp_path, "a.bgcode", data)) == commands(make.GCODE)


def _with_block(extra: bytes) -> bytes:
    head = struct.pack("<4sIH", b"GCDE", 1, 1)
    return head + make.bgcode()[len(head) :] + extra


TWO = bytes(2)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no binary G-code"),
        (b"G1 X1\n" * 10, "no binary G-code"),
        (b"GCDE", "no binary G-code"),
        (struct.pack("<4sIH", b"GCDE", 7, 1), "version 7"),
        (make.bgcode()[:-1], "ends within a block"),
        (make.bgcode()[:400], "ends within a block"),
        (_with_block(b"\1\0"), "ends within a block"),
        (make.bgcode().replace(b"32m 6s", b"42m 6s"), "checksum"),
        (_with_block(make.block(6, TWO, b"")), "unknown form"),
        (_with_block(make.block(1, TWO, b"G1", make.DEFLATE, size=50)), "another size"),
        (_with_block(make.block(1, TWO, b"G1" * 50, make.DEFLATE, size=50)), "another size"),
        (_with_block(make.block(1, TWO, b"G1", make.HEATSHRINK_12, size=50)), "another size"),
        (_with_block(make.block(1, b"\7\0", b"G1")), "not known here"),
        (_with_block(make.block(1, TWO, b"", size=2**32 - 1)), "allowed"),
        (struct.pack("<4sIH", b"GCDE", 1, 1) + make.block(4, TWO, b"a=1"), "holds no G-code"),
    ],
)
def test_damaged_bgcode_says_why(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = written(tmp_path, "a.bgcode", data)
    with pytest.raises(ContainerError, match=sentence):
        unpack(path, tmp_path / "out.gcode")
    assert [item.name for item in tmp_path.iterdir()] == ["a.bgcode"]
    assert isinstance(scan(path), Metadata)


def test_metadata_that_is_damaged_is_a_problem(tmp_path: Path) -> None:
    found = scan(written(tmp_path, "a.bgcode", make.bgcode().replace(b"32m 6s", b"42m 6s")))
    assert (found.slicer, found.slicer_version) == ("Unknown", "?")
    assert "checksum" in (found.problem or "")


def test_what_is_no_bgcode_at_all(tmp_path: Path) -> None:
    assert "no binary G-code" in (scan(written(tmp_path, "a.bgcode", b"G1 X1\n")).problem or "")


def test_heatshrink_repeats_what_it_has_just_written() -> None:
    # A byte, and then ten bytes from one byte back: the reference runs into its own output.
    bits = "1" + f"{ord('a'):08b}" + "0" + "0" * 11 + f"{9:04b}"
    data = int(bits.ljust(32, "1"), 2).to_bytes(4, "big")
    assert heatshrink.slowly(data, 11)[:11] == b"a" * 11
    # Before the beginning there are zeros.
    assert heatshrink.slowly(int("0" * 12 + "0011" + "1" * 8, 2).to_bytes(3, "big"), 11)[:4] == bytes(4)


@pytest.mark.parametrize("window", [11, 12])
def test_heatshrink_round_trip(window: int) -> None:
    data = make.GCODE * 3
    assert heatshrink.slowly(make.heatshrink(data, window), window)[: len(data)] == data
    assert heatshrink.decompress(make.heatshrink(data, window), window)[: len(data)] == data


def test_meatpack_puts_blanks_back_in_moves_only() -> None:
    lines = ["G1 X1.5 Y-2 E.5 F1200", "G28 X Y", 'M862.3 P "MK4S"', "M117 G-force 5X", "M104 S200", "G29 P1"]
    packed = meatpack.unpack(make.meatpack("\n".join(lines), comments=True))
    assert packed.decode().splitlines() == lines


# -- sliced projects ---------------------------------------------------------------------------------------------------


def test_three_mf(tmp_path: Path) -> None:
    found = scan(written(tmp_path, "a.gcode.3mf", make.three_mf()), thumbs_dir=tmp_path / ".thumbs")
    assert (found.slicer, found.slicer_version, found.estimated_time) == ("OrcaSlicer", "2.1.1", 3723)
    # The text does not state these.
    assert (found.printer_model, found.filament_weight_total) == ("N1", 3.64)
    assert [(item.width, item.height) for item in found.thumbnails or []][-2:] == [(16, 16), (64, 64)]
    assert text_of(tmp_path, "a.gcode.3mf", make.three_mf()) == make.GCODE


def test_three_mf_with_several_plates(tmp_path: Path) -> None:
    other = make.GCODE.replace(b"2.1.1", b"2.2.2")
    data = make.three_mf({3: make.GCODE, 12: other})
    path = written(tmp_path, "a.gcode.3mf", data)
    assert scan(path).slicer_version == "2.1.1"
    with open_container(path, Kind.THREE_MF) as container:
        assert container.plates == (3, 12)
    assert text_of(tmp_path, "a.gcode.3mf", data, 12) == other
    with pytest.raises(ContainerError, match="no sliced plate 4"):
        unpack(path, tmp_path / "b.gcode", 4)


def test_long_print_in_an_archive_is_read_at_both_ends(tmp_path: Path) -> None:
    noise = b"".join(b"G1 X%d.%03d Y%d E%d.5\n" % (n % 97, n * 7919 % 1000, n % 89, n) for n in range(200_000))
    data = make.three_mf({1: make.GCODE[:200] + noise + b"; total layers count = 42\n; layer_height = 0.35\n"})
    found = scan(written(tmp_path, "a.gcode.3mf", data))
    assert (found.slicer, found.layer_height) == ("OrcaSlicer", 0.35)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (make.zipped({"3D/3dmodel.model": b"x"}), "no G-code"),
        (make.three_mf()[:-30], "damaged"),
        (make.three_mf().replace(b"plate_1.gcode", b"plate_0.gcode"), "no G-code"),
        (make.three_mf({1: bytes(80 * 1024 * 1024)}), "are allowed"),
        (b"PK\x03\x04", "damaged"),
        (b"", "damaged"),
    ],
)
def test_damaged_three_mf_says_why(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = written(tmp_path, "a.gcode.3mf", data)
    assert sentence in (scan(path).problem or "")
    with pytest.raises(ContainerError, match=sentence):
        unpack(path, tmp_path / "out.gcode")
    assert [item.name for item in tmp_path.iterdir()] == ["a.gcode.3mf"]


def test_a_bomb_is_looked_at_only_as_far_as_its_beginning(tmp_path: Path) -> None:
    head = make.GCODE + b"G1 X1 Y1 E1\n"
    found = scan(written(tmp_path, "a.gcode.3mf", make.three_mf({1: head + b" " * (60 * 1024 * 1024)})))
    assert (found.slicer, found.problem) == ("OrcaSlicer", None)


# -- FlashForge --------------------------------------------------------------------------------------------------------


def test_gx(tmp_path: Path) -> None:
    gcode = b";generated by ffslicer 2.4.4\n" + ZEROS.encode()
    data = make.gx(gcode)
    found = scan(written(tmp_path, "a.gx", data), thumbs_dir=tmp_path / ".thumbs")
    assert (found.slicer, found.estimated_time, found.filament_total) == ("FlashPrint", 754, 1234)
    assert (found.layer_height, found.first_layer_bed_temp, found.first_layer_extr_temp) == (0.18, 60, 215)
    assert (tmp_path / ".thumbs/a-80x60.png").exists()
    assert text_of(tmp_path, "a.gx", data) == gcode


def test_gx_with_two_pictures(tmp_path: Path) -> None:
    data = make.gx(picture=make.png(80, 60), second=make.png(320, 320))
    found = scan(written(tmp_path, "a.gx", data))
    assert [(item.width, item.height) for item in found.thumbnails or []] == [(80, 60), (320, 320)]
    assert found.slicer == "OrcaSlicer"
    assert found.gcode_end_byte is not None
    assert data[: found.gcode_end_byte].endswith(b"G92 E0\n")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no GX"),
        (b"xgcode 1.0\n\0", "no GX"),
        (make.gx()[:2000], "nothing is"),
        (make.gx(b""), "no G-code"),
        (make.gx()[:24] + b"\xff\xff\xff\xff" + make.gx()[28:], "nothing is"),
    ],
)
def test_damaged_gx_says_why(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = written(tmp_path, "a.gx", data)
    assert sentence in (scan(path).problem or "")
    with pytest.raises(ContainerError, match=sentence):
        unpack(path, tmp_path / "out.gcode")


# -- all ---------------------------------------------------------------------------------------------------------------


def test_ufp_in_place(tmp_path: Path) -> None:
    found = scan(written(tmp_path, "a.ufp", make.ufp(picture=make.png(300, 300))))
    assert found.slicer == "OrcaSlicer"
    assert [(item.width, item.height) for item in found.thumbnails or []] == [(300, 300)]


def test_names() -> None:
    for name, text in {
        "a.bgcode": "a.gcode",
        "d/A.GCODE.3MF": "d/A.gcode",
        "a.b.gx": "a.b.gcode",
        "a.ufp": "a.gcode",
        "a.gcode": "a.gcode",
        "a.3mf": "a.3mf",
    }.items():
        assert text_name(name) == text
    assert is_gcode_name("a.gcode.3mf")
    assert is_gcode_name("d/a.BGCODE")
    assert not any(map(is_gcode_name, ("a.3mf", ".gx", ".gcode.3mf", "d/.bgcode", "a.gxx")))
    assert kind_of("a.gcode", b"G28\n") is None
    assert kind_of("a.gcode", b"PK\x03\x04") is Kind.THREE_MF
    assert kind_of("a.ufp", b"PK\x03\x04") is Kind.UFP
    assert kind_of("a.ufp", b"GCDE\1\0\0\0") is Kind.BGCODE


def test_nothing_is_left_of_what_is_too_large(tmp_path: Path) -> None:
    for name, data in {
        "a.bgcode": make.bgcode(ZEROS),
        "a.gx": make.gx(ZEROS.encode()),
        "a.ufp": make.ufp(ZEROS.encode()),
        "a.gcode.3mf": make.three_mf({1: ZEROS.encode()}),
    }.items():
        path = written(tmp_path, name, data)
        with pytest.raises(ContainerError, match="allowed"):
            unpack(path, tmp_path / "out.gcode", max_bytes=1000)
    assert not [item for item in tmp_path.iterdir() if item.suffix in (".tmp", ".gcode")]


def test_text_is_no_container(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="no container"):
        unpack(written(tmp_path, "a.gcode", b"G28\n"), tmp_path / "out.gcode")


def test_a_full_disk_is_an_os_error(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    for name, data in {"a.bgcode": make.bgcode(), "a.gx": make.gx(), "a.gcode.3mf": make.three_mf()}.items():
        path = written(tmp_path, name, data)
        kind = kind_of(name, data)
        assert kind is not None
        with open_container(path, kind) as container, pytest.raises(OSError, match="No space"):
            container.write(Full())


def test_the_python_decoder_stands_in_for_heatshrink2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heatshrink.fast_decoder.cache_clear()
    monkeypatch.setitem(sys.modules, "heatshrink2", None)
    try:
        text = text_of(tmp_path, "a.bgcode", make.bgcode())
        assert re.search(rb"G1 X-20.25 Y30 E.61774\n", text)
        assert heatshrink.fast_decoder() is None
    finally:
        heatshrink.fast_decoder.cache_clear()


def test_moves_of_a_container(tmp_path: Path) -> None:
    moves = "".join(f"G1 X{n % 50} Y{n % 40} E.5\n" for n in range(500)).encode()
    text = b"M83\nG1 Z0.2 F600\n" + moves
    expected = scan_moves(written(tmp_path, "a.gcode", text))
    assert expected.filament
    for name, data in {
        "a.bgcode": make.bgcode(text.decode(), per_block=100),
        "a.gcode.3mf": make.three_mf({1: text}),
        "a.ufp": make.ufp(text),
        "a.gx": make.gx(text),
    }.items():
        assert scan_moves(written(tmp_path, name, data)) == expected, name
    damaged = scan_moves(written(tmp_path, "b.bgcode", make.bgcode(text.decode(), per_block=100)[:-9]))
    assert 0 < damaged.filament[0] < expected.filament[0]
    assert not scan_moves(written(tmp_path, "c.gx", b"xgcode 1.0")).filament
