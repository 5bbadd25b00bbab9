"""Unpacking Ultimaker's container."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moonraker_lite.gcode_metadata import extract_ufp, scan

GCODE = b";FLAVOR:Griffin\n;TIME:77\n;Generated with Cura_SteamEngine 5.0\nG28 ; home\nG1 X1 Y1 E1\n"


def png(side: int = 300) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (side, side), (0, 90, 200)).save(target, "PNG")
    return target.getvalue()


def container(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def unpacked(tmp_path: Path, data: bytes, max_bytes: int | None = None) -> Path | None:
    path = tmp_path / "thing.ufp"
    path.write_bytes(data)
    destination = tmp_path / "thing.gcode"
    if max_bytes is None:
        return extract_ufp(path, destination, tmp_path / ".thumbs")
    return extract_ufp(path, destination, tmp_path / ".thumbs", max_bytes=max_bytes)


@pytest.mark.parametrize("slash", ["", "/"])
def test_print_and_picture(tmp_path: Path, slash: str) -> None:
    picture = png()
    data = container({f"{slash}3D/model.gcode": GCODE, f"{slash}Metadata/thumbnail.png": picture, "/_rels/.rels": b"x"})
    written = unpacked(tmp_path, data)
    assert (tmp_path / "thing.gcode").read_bytes() == GCODE
    assert written == tmp_path / ".thumbs" / "thing.png"
    assert written.read_bytes() == picture
    metadata = scan(tmp_path / "thing.gcode", thumbs_dir=tmp_path / ".thumbs")
    assert metadata.estimated_time == 77
    assert metadata.thumbnails is not None
    assert [(item.width, item.relative_path) for item in metadata.thumbnails] == [
        (32, ".thumbs/thing-32x32.png"),
        (300, ".thumbs/thing.png"),
    ]
    assert sorted(os.listdir(tmp_path)) == [".thumbs", "thing.gcode", "thing.ufp"]


@pytest.mark.parametrize("picture", [None, b"no picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(5 * 1024 * 1024)])
def test_print_without_a_usable_picture(tmp_path: Path, picture: bytes | None) -> None:
    members = {"3D/model.gcode": GCODE} | ({} if picture is None else {"Metadata/thumbnail.png": picture})
    assert unpacked(tmp_path, container(members)) is None
    assert (tmp_path / "thing.gcode").read_bytes() == GCODE
    assert not (tmp_path / ".thumbs").exists()


def test_without_a_folder_for_pictures(tmp_path: Path) -> None:
    path = tmp_path / "thing.ufp"
    path.write_bytes(container({"3D/model.gcode": GCODE, "Metadata/thumbnail.png": png()}))
    assert extract_ufp(path, tmp_path / "a.gcode") is None
    assert sorted(os.listdir(tmp_path)) == ["a.gcode", "thing.ufp"]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "thing.gcode").write_text("old")
    unpacked(tmp_path, container({"3D/model.gcode": GCODE}))
    assert (tmp_path / "thing.gcode").read_bytes() == GCODE


def many_members() -> bytes:
    return container({f"member{index}": b"" for index in range(1500)} | {"3D/model.gcode": GCODE}, zipfile.ZIP_STORED)


def encrypted() -> bytes:
    data = bytearray(container({"3D/model.gcode": GCODE}))
    data[6] |= 1  # the flag in the local header
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "damaged"),
        (b"not a zip", "damaged"),
        (b"PK\x05\x06", "damaged"),
        (container({"3D/model.gcode": GCODE})[:-30], "damaged"),
        (container({"3D/model.gcode": GCODE})[40:], "damaged"),
        (container({"other.gcode": GCODE}), "3D/model.gcode is missing"),
        (many_members(), "more than 1000 members"),
        (encrypted(), "encrypted"),
        (container({"3D/model.gcode": GCODE}, zipfile.ZIP_LZMA), "unknown method"),
        (container({"3D/model.gcode": bytes(80 * 1024 * 1024)}), "are allowed"),
    ],
)
def test_broken_ones_say_why(tmp_path: Path, data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        unpacked(tmp_path, data)
    assert os.listdir(tmp_path) == ["thing.ufp"]


def test_a_print_over_the_limit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are allowed"):
        unpacked(tmp_path, container({"3D/model.gcode": GCODE * 100}), max_bytes=len(GCODE) * 99)
    assert os.listdir(tmp_path) == ["thing.ufp"]


def test_a_false_size_does_not_get_more_out(tmp_path: Path) -> None:
    data = bytearray(container({"3D/model.gcode": b"G1 X1\n" * 100_000}))
    entry = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, entry + 24, 100)
    with pytest.raises(ValueError, match="damaged"):
        unpacked(tmp_path, bytes(data))
    assert os.listdir(tmp_path) == ["thing.ufp"]


def test_missing_container(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        extract_ufp(tmp_path / "none.ufp", tmp_path / "a.gcode")


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_damaged_containers_raise_value_error_only(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(container({"3D/model.gcode": GCODE * 5, "Metadata/thumbnail.png": png(8)}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    folder = tmp_path_factory.mktemp("ufp")
    try:
        unpacked(folder, bytes(whole[:cut]) if data.draw(st.booleans()) else bytes(whole))
    except ValueError as error:
        assert len(str(error)) > 10
        assert not (folder / "thing.gcode").exists()
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
