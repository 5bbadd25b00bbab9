"""Pictures: which are accepted, what they are called, and what hostile ones come to."""

from __future__ import annotations

import base64
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moonraker_lite.gcode_metadata import Metadata, Thumbnail, pixels, scan, thumbnails
from moonraker_lite.gcode_metadata.pictures import MAX_PICTURES, find, jpeg_size
from tests.support import containers as make


def picture(width: int, height: int, form: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height), (200, 100, 0)).save(target, form)
    return target.getvalue()


def block(data: bytes, width: int, height: int, *, word: str = "thumbnail", end: str = "", length: int = -1) -> bytes:
    text = base64.b64encode(data).decode()
    lines = "".join(f"; {text[start : start + 78]}\n" for start in range(0, len(text), 78))
    count = len(text) if length < 0 else length
    return f"; {word} begin {width}x{height} {count}\n{lines}; {end or word} end\n;\n".encode()


def scanned(tmp_path: Path, content: bytes, name: str = "part.gcode") -> list[Thumbnail]:
    (tmp_path / name).write_bytes(content + b"M84 ; motors off\n")
    metadata: Metadata = scan(tmp_path / name, thumbs_dir=tmp_path / ".thumbs")
    return metadata.thumbnails or []


def names(found: list[Thumbnail]) -> list[str]:
    return [thumbnail.relative_path for thumbnail in found]


def test_written_as_they_are_and_a_small_one_first(tmp_path: Path) -> None:
    small, large = picture(16, 16), picture(400, 300)
    found = scanned(tmp_path, block(small, 16, 16) + block(large, 400, 300))
    assert names(found) == [f".thumbs/part-{size}.png" for size in ("32x32", "16x16", "400x300")]
    assert (found[0].width, found[0].height) == (32, 24)
    assert (tmp_path / ".thumbs/part-16x16.png").read_bytes() == small
    assert (tmp_path / ".thumbs/part-400x300.png").read_bytes() == large
    for thumbnail in found:
        path = tmp_path / thumbnail.relative_path
        assert path.stat().st_size == thumbnail.size
        with Image.open(path) as image:
            assert image.size == (thumbnail.width, thumbnail.height)


def test_no_small_one_when_the_file_brings_it(tmp_path: Path) -> None:
    found = scanned(tmp_path, block(picture(32, 32), 32, 32) + block(picture(64, 64), 64, 64))
    assert names(found) == [".thumbs/part-32x32.png", ".thumbs/part-64x64.png"]


def test_only_listed_without_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "part.gcode"
    data = picture(64, 64)
    path.write_bytes(block(data, 64, 64))
    assert scan(path).thumbnails == [Thumbnail(64, 64, len(data), ".thumbs/part-64x64.png")]
    assert os.listdir(tmp_path) == ["part.gcode"]


def test_jpeg_and_qoi(tmp_path: Path) -> None:
    content = block(picture(48, 48, "JPEG"), 48, 48, word="thumbnail_JPG")
    qoi = bytes.fromhex("716f696600000010000000100300") + b"\xfe\xc8\x64\x00" + b"\xc0" * 255 + bytes(7) + b"\x01"
    found = scanned(tmp_path, content + block(qoi, 16, 16, word="thumbnail_QOI", end="thumbnail"))
    assert names(found)[1:] == [".thumbs/part-48x48.jpg", ".thumbs/part-16x16.png"]
    with Image.open(tmp_path / ".thumbs/part-16x16.png") as image:
        assert image.format == "PNG"


def test_same_size_twice_gets_a_number(tmp_path: Path) -> None:
    one, other = picture(40, 40), picture(40, 40) + b"\0"
    found = scanned(tmp_path, block(one, 40, 40) + block(other, 40, 40) + block(one, 40, 40))
    assert names(found)[1:] == [".thumbs/part-40x40.png", ".thumbs/part-40x40-2.png"]


def test_creality_counts_bytes(tmp_path: Path) -> None:
    data = picture(48, 48, "JPEG")
    text = base64.b64encode(data).decode()
    lines = "".join(f"; {text[start : start + 76]}\n" for start in range(0, len(text), 76))
    content = f"; jpg begin 48*48 {len(data)} 1 47 500\n{lines}; jpg end\n".encode()
    assert names(scanned(tmp_path, content))[1:] == [".thumbs/part-48x48.jpg"]


def test_other_spellings(tmp_path: Path) -> None:
    content = block(picture(40, 30), 40, 30).replace(b"40x30", b"40 30")
    assert names(scanned(tmp_path, content))[1:] == [".thumbs/part-40x30.png"]
    url = b"\n;Thumbnail:data:image/png;base64," + base64.b64encode(picture(30, 20)) + b"\n"
    assert names(scanned(tmp_path, url, "url.gcode"))[1:] == [".thumbs/url-30x20.png"]


def test_luban_data_url_and_weedo_hex(tmp_path: Path) -> None:
    url = b"\n;thumbnail: data:image/png;base64," + base64.b64encode(picture(30, 20)) + b"\n"
    assert names(scanned(tmp_path, url, "luban.gcode"))[1:] == [".thumbs/luban-30x20.png"]
    digits = picture(30, 20, "JPEG").hex()
    lines = "".join(f"W220 {digits[start : start + 80]}\n" for start in range(0, len(digits), 80))
    assert names(scanned(tmp_path, f"W221\n{lines}W222\n".encode(), "weedo.gcode"))[1:] == [".thumbs/weedo-30x20.jpg"]


ROWS = [[make.rgb565(x * 4 % 256, y * 4 % 256, 128) for x in range(100)] for y in range(100)]


def pixel_errors(path: Path) -> int:
    """How far the picture of ROWS is from what was drawn, at most."""
    with Image.open(path) as image:
        drawn = image.convert("RGB")
        assert drawn.size == (100, 100)
        found = drawn.tobytes()
    wanted = bytes(value for y in range(100) for x in range(100) for value in (x * 4 % 256, y * 4 % 256, 128))
    return max(abs(one - other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_mks(tmp_path: Path, line_end: str) -> None:
    small = make.mks_block([row[::2] for row in ROWS[::2]], large=False, line_end=line_end)
    content = small + make.mks_block(ROWS, large=True, line_end=line_end) + b"\r\n; layer_height = 0.2\n"
    found = scanned(tmp_path, content)
    assert names(found)[1:] == [".thumbs/part-50x50.png", ".thumbs/part-100x100.png"]
    assert pixel_errors(tmp_path / ".thumbs/part-100x100.png") <= 8
    assert scan(tmp_path / "part.gcode").layer_height == 0.2


@pytest.mark.parametrize("line", [0, 1015])
def test_colpic(tmp_path: Path, line: int) -> None:
    few = [[word & ~0x20 for word in row] for row in ROWS]  # no more colours than there can be
    content = make.colpic_block(few, large=True, line=line)
    content += make.colpic_block([[7] * 300 + [9]] * 40, large=False, line=line) + b"\n; layer_height = 0.2\n"
    found = scanned(tmp_path, content)
    assert names(found)[1:] == [".thumbs/part-100x100.png", ".thumbs/part-301x40.png"]
    assert pixel_errors(tmp_path / ".thumbs/part-100x100.png") <= 12
    assert scan(tmp_path / "part.gcode").layer_height == 0.2


def test_qidi(tmp_path: Path) -> None:
    assert names(scanned(tmp_path, make.qidi_block(ROWS)))[1:] == [".thumbs/part-100x100.png"]
    # One bit of green is spent on saying that a colour is repeated.
    assert pixel_errors(tmp_path / ".thumbs/part-100x100.png") <= 12
    flat = [[make.rgb565(255, 0, 0)] * 200] * 200
    assert names(scanned(tmp_path, make.qidi_block(flat), "flat.gcode"))[1:] == [".thumbs/flat-200x200.png"]


@pytest.mark.parametrize(
    "content",
    [
        b";simage:" + b"ff" * 40 + b"\rM10086 ;ffff\rM10086 ;\r",  # rows of different lengths
        b";;gimage:" + b"f" * 5000 + b"\r",
        b";simage:f\r",
        b";gimage:0`00" + b"0" * 50 + b"\r",
        make.colpic_block([[1, 2, 3]] * 60, large=True).replace(b"\n\n;g", b";g")[:-9],
        b"M4010 X9999 Y9999\nM4010 I0 T99 'f7be3fff'\n",
        b"M4010 X10 Y10\nM4010 I0 T99 'f7be30'\n",
        b"M4010 X10 Y10\nM4010 I0 T99 'f7be3005'\n",
        b"M4010 X0 Y10\nM4010 I0 T99 'f7be3005'\n",
        b"M4010 X10 Y10\n" + b"M4010 I0 T99 'f7be3fff" * 1000,
    ],
)
def test_hostile_pictures_for_displays_are_dropped(tmp_path: Path, content: bytes) -> None:
    assert scanned(tmp_path, content) == []
    assert not (tmp_path / ".thumbs").exists()


@pytest.mark.parametrize("without_pillow", [False, True])
def test_qoi_is_made_into_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_pillow: bool) -> None:
    points = [((x * x) % 256, (x * y) % 256, y * 3 % 256, 255 if x < 40 else 90) for y in range(50) for x in range(60)]
    points[200:400] = [points[200]] * 200
    content = block(make.qoi(60, 50, points), 60, 50, word="thumbnail_QOI")
    if without_pillow:
        monkeypatch.setitem(sys.modules, "PIL", None)
    assert names(scanned(tmp_path, content))[-1:] == [".thumbs/part-60x50.png"]
    monkeypatch.undo()
    with Image.open(tmp_path / ".thumbs/part-60x50.png") as image:
        assert [image.getpixel((i % 60, i // 60)) for i in range(3000)] == points
    # A PNG of that size does not take its name.
    twice = scanned(tmp_path, content + block(picture(60, 50), 60, 50), "two.gcode")
    assert names(twice)[1:] == [".thumbs/two-60x50.png", ".thumbs/two-60x50-2.png"]


@pytest.mark.parametrize(("bits", "top_down"), [(24, False), (24, True), (32, False)])
def test_bmp(bits: int, top_down: bool) -> None:
    data = make.bmp(33, 20, bits=bits, top_down=top_down)
    converted = pixels.to_png("bmp", 33, 20, data)
    assert converted is not None
    with Image.open(io.BytesIO(converted)) as image, Image.open(io.BytesIO(data)) as original:
        assert image.tobytes() == original.convert("RGB").tobytes()
    assert pixels.to_png("bmp", 33, 20, data[:-1]) is None
    assert pixels.to_png("bmp", 33, 20, data[:28] + b"\x08" + data[29:]) is None


def test_data_behind_a_whole_picture_do_not_count(tmp_path: Path) -> None:
    assert len(scanned(tmp_path, block(picture(40, 40) + bytes(20), 40, 40, length=17))) == 2


def test_wrong_length_is_forgiven_for_a_whole_picture_only(tmp_path: Path) -> None:
    data = picture(40, 40)
    assert len(scanned(tmp_path, block(data, 40, 40, length=17))) == 2
    assert scanned(tmp_path, block(data[:-4], 40, 40, length=17)) == []


@pytest.mark.parametrize(
    "content",
    [
        block(b"", 16, 16),
        block(b"not a picture at all", 16, 16),
        block(picture(16, 16), 16, 16).replace(b"; thumbnail end", b"; thumbnail"),
        block(picture(16, 16), 16, 16)[:-40],
        block(picture(16, 16), 16, 16).replace(b"A", b"!"),
        b"; thumbnail begin 16x16 99999999\n" * 1000,
        b"; thumbnail begin 16x16 4\n; AAA=\n; thumbnail end\n",
        b"; thumbnail begin -1x16 4\n; AAAA\n; thumbnail end\n",
        block(picture(8, 8)[:16] + struct.pack(">II", 2**31, 1) + picture(8, 8)[24:], 8, 8),
        block(b"\xff\xd8\xff" + b"\xff" * 100, 16, 16),
        b";thumbnail: data:image/png;base64,AAAA",
        b"\nW220 f\nW220 fffff",
    ],
)
def test_hostile_blocks_are_dropped(tmp_path: Path, content: bytes) -> None:
    assert scanned(tmp_path, content + b"\n; layer_height = 0.2\n") == []
    assert not (tmp_path / ".thumbs").exists()
    assert scan(tmp_path / "part.gcode").layer_height == 0.2


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4096, 4096, 8, 6, 0, 0, 0)
    body = zlib.compress(bytes((4096 * 4 + 1) * 4096), 9)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert names(scanned(tmp_path, block(bomb, 4096, 4096))) == [".thumbs/part-4096x4096.png"]


def test_many_pictures_are_bounded(tmp_path: Path) -> None:
    content = b"".join(block(picture(10 + index, 10), 10 + index, 10) for index in range(MAX_PICTURES + 10))
    assert len(scanned(tmp_path, content)) == MAX_PICTURES + 1


def test_without_pillow_the_pictures_are_still_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = block(picture(64, 64), 64, 64) + block(b"qoif" + struct.pack(">II", 8, 8) + bytes(9), 8, 8)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert names(scanned(tmp_path, content)) == [".thumbs/part-64x64.png"]


def test_a_folder_that_cannot_be_written_costs_only_the_pictures(tmp_path: Path) -> None:
    (tmp_path / ".thumbs").write_text("a file where the folder should be")
    assert scanned(tmp_path, block(picture(64, 64), 64, 64)) == []
    assert (tmp_path / ".thumbs").read_text()


def test_nothing_is_left_behind_when_a_name_is_too_long(tmp_path: Path) -> None:
    assert scanned(tmp_path, block(picture(64, 64), 64, 64), "x" * 248 + ".gcode") == []
    assert os.listdir(tmp_path / ".thumbs") == []


def test_the_picture_of_a_container_is_used_when_the_file_has_none(tmp_path: Path) -> None:
    (tmp_path / ".thumbs").mkdir()
    (tmp_path / ".thumbs/part.png").write_bytes(picture(300, 300))
    found = scanned(tmp_path, b"")
    assert names(found) == [".thumbs/part-32x32.png", ".thumbs/part.png"]
    assert (found[1].width, found[1].height) == (300, 300)
    (tmp_path / ".thumbs/part.png").write_bytes(b"no picture")
    assert scanned(tmp_path, b"") == []


def test_comments_around_pictures_are_read(tmp_path: Path) -> None:
    path = tmp_path / "part.gcode"
    path.write_bytes(b"; layer_height = 0.3\n" + block(picture(64, 64), 64, 64) + b"; nozzle_diameter = 0.6\n")
    metadata = scan(path)
    assert (metadata.layer_height, metadata.nozzle_diameter) == (0.3, 0.6)


def test_small_one_of_a_wide_picture_is_named_by_its_class(tmp_path: Path) -> None:
    found = scanned(tmp_path, block(picture(220, 124), 220, 124))
    assert found[0].relative_path == ".thumbs/part-32x32.png"
    assert (found[0].width, found[0].height) == (32, 18)


def test_jpeg_size() -> None:
    assert jpeg_size(picture(70, 50, "JPEG")) == (70, 50)
    assert jpeg_size(picture(70, 50, "JPEG")[:30]) is None


@given(st.binary(max_size=3000))
@settings(max_examples=60, deadline=None)
def test_any_bytes_as_picture(data: bytes) -> None:
    for prefix in (b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"qoif"):
        found, cut = find(b"\n" + block(prefix + data, 64, 64))
        assert len(cut) == 1
        assert thumbnails.store(found, "a", None) == thumbnails.store(found, "a", None)


@given(st.binary(max_size=400), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_damaged_picture_never_raises(tmp_path_factory: pytest.TempPathFactory, noise: bytes, position: int) -> None:
    data = picture(50, 50)
    damaged = data[:position] + noise + data[position + len(noise) :]
    found, _ = find(block(damaged, 50, 50))
    folder = tmp_path_factory.mktemp("thumbs")
    for thumbnail in thumbnails.store(found, "a", folder):
        assert (folder / Path(thumbnail.relative_path).name).stat().st_size == thumbnail.size
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_prints_of_one_stem_have_pictures_of_their_own(tmp_path: Path) -> None:
    """Moonraker's names have no ending of the print in them: the second one would overwrite those of the first."""
    sample = Path(__file__).resolve().parents[1] / "data" / "gcode" / "prusaslicer.gcode"
    names = []
    for ending in (".gcode", ".g", ".gco"):
        path = (tmp_path / "a").with_suffix(ending)
        path.write_bytes(sample.read_bytes())
        names.append([item.relative_path for item in scan(path, thumbs_dir=tmp_path / ".thumbs").thumbnails or []])
    assert ".thumbs/a-16x16.png" in names[0]
    assert ".thumbs/a.g-16x16.png" in names[1]
    assert ".thumbs/a.gco-16x16.png" in names[2]
    assert len({name for each in names for name in each}) == sum(map(len, names))
