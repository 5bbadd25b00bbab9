"""The path rules: whatever a client writes, it names something in a root or it is refused with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.components.file_manager import paths
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.names import (
    is_gcode_name,
    is_image,
    is_part,
    is_scanned,
    part_name,
    siblings,
)
from moonraker_lite.components.file_manager.roots import Folder, Reserved, Root, Roots, Target
from moonraker_lite.errors import BadRequest, Forbidden, HostError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gcodes", Place("gcodes", "")),
        ("gcodes/", Place("gcodes", "")),
        ("/gcodes", Place("gcodes", "")),
        ("gcodes//sub/./dir", Place("gcodes", "sub/dir")),
        ("gcodes/sub/../sub", Place("gcodes", "sub")),
        ("gcodes/orca ü 100%.gcode", Place("gcodes", "orca ü 100%.gcode")),
        ("gcodes/\\..\\x", Place("gcodes", "\\..\\x")),
        ("gcodes/．．/x", Place("gcodes", "．．/x")),
        ("gcodes/...", Place("gcodes", "...")),
    ],
)
def test_what_is_understood(text: str, place: Place) -> None:
    assert paths.parse(text).place == place


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", BadRequest),
        ("/", BadRequest),
        (".", BadRequest),
        ("..", BadRequest),
        ("../x", BadRequest),
        ("gcodes/..", BadRequest),
        ("gcodes/../config/printer.cfg", BadRequest),
        ("gcodes/a/../../config", BadRequest),
        ("gcodes/sub\0x", BadRequest),
        ("gcodes/a\nb.gcode", BadRequest),
        ("gcodes/a\x7fb", BadRequest),
        ("gcodes/" + "x" * 256, BadRequest),
        ("gcodes/" + "ü" * 128, BadRequest),
        ("gcodes/" + "/".join(["x" * 200] * 25), BadRequest),
        ("gcodes/\ud800", BadRequest),
        ("config/.git/config", Forbidden),
        ("gcodes/sub/.git", Forbidden),
        pytest.param(f"gcodes/{part_name()}", Forbidden, id="part of an upload"),
    ],
)
def test_what_is_refused(text: str, kind: type[HostError]) -> None:
    with pytest.raises(kind) as error:
        paths.parse(text)
    assert error.value.message
    assert "\0" not in error.value.message


PIECES = st.sampled_from(["..", ".", "", "a", "sub", ".git", "\0", "%2e%2e", "ü", "link", "\ud800", "config", "gcodes"])


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=8).map("/".join)))
def test_nothing_leads_out_of_a_root(text: str) -> None:
    try:
        place = paths.parse(text).place
    except HostError:
        return
    path = os.path.normpath(os.path.join("/base/root", place.path))
    assert path == "/base/root" or path.startswith("/base/root/")
    assert ".." not in place.path.split("/")
    assert paths.parse(str(place)).place == place


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    for name in ("gcodes", "config", "database", "outside"):
        (tmp_path / name).mkdir()
    reserved = Reserved()
    reserved.add(tmp_path / "database")
    reserved.add(tmp_path / "moonraker.secrets")
    roots = Roots(reserved)
    roots.register(Root("gcodes", tmp_path / "gcodes"))
    roots.register(Root("config", tmp_path / "config"))
    return roots


def test_an_unknown_root(roots: Roots) -> None:
    for text in ("nosuch", "nosuch/x", "database/moonraker.db"):
        with pytest.raises(BadRequest, match="Invalid root path"):
            roots.target(text)


def test_links_of_the_owner_are_followed_but_not_into_reserved_places(roots: Roots, tmp_path: Path) -> None:
    (tmp_path / "gcodes" / "usb").symlink_to(tmp_path / "outside")
    (tmp_path / "gcodes" / "db").symlink_to(tmp_path / "database")
    (tmp_path / "gcodes" / "up").symlink_to(tmp_path)
    (tmp_path / "gcodes" / "s.txt").symlink_to(tmp_path / "moonraker.secrets")
    (tmp_path / "outside" / ".git").mkdir()
    (tmp_path / "gcodes" / "git").symlink_to(tmp_path / "outside" / ".git")
    assert roots.real(roots.target("gcodes/usb/x")) == str(tmp_path / "outside" / "x")
    for text in ("gcodes/db", "gcodes/db/x.db", "gcodes/up/database/x", "gcodes/s.txt", "gcodes/git/config"):
        with pytest.raises(Forbidden):
            roots.real(roots.target(text))


def test_an_open_folder_is_checked_by_where_it_is(roots: Roots, tmp_path: Path) -> None:
    link = tmp_path / "gcodes" / "d"
    link.symlink_to(tmp_path / "outside")
    with Folder(str(link), roots.reserved) as folder:
        link.unlink()
        link.symlink_to(tmp_path / "database")
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder.fd))
    assert (tmp_path / "outside" / "f").exists()
    with pytest.raises(Forbidden):
        Folder(str(link), roots.reserved)


def test_a_target_knows_its_path(roots: Roots, tmp_path: Path) -> None:
    target: Target = roots.target("gcodes/a/b")
    assert target.path == str(tmp_path / "gcodes" / "a" / "b")
    assert roots.target("gcodes").is_root


def test_names() -> None:
    assert is_gcode_name("A.GCODE")
    assert is_gcode_name("x.ufp")
    assert not is_gcode_name("x.txt")
    assert is_scanned("sub/.hidden.gcode")
    assert not is_scanned("UPPER.GCODE")
    assert is_scanned("x.ufp")
    assert is_scanned("x.gcode.3mf")
    assert not is_scanned("x.3mf")
    assert not is_scanned(".gcode.3mf")
    assert set(siblings("d/x.gcode")) == {
        f"d/x.{ending}" for ending in ("bgcode", "g", "gco", "gcode", "gx", "nc", "ufp")
    }
    assert "d/x.gcode.3mf" in set(siblings("d/x.gcode.3mf"))
    assert not is_scanned(".gcode")
    assert is_image("a/.thumbs/x-32x32.PNG")
    assert not is_image("x.gcode")
    assert is_part(part_name())


def test_places() -> None:
    place = Place("gcodes", "a/b/c")
    assert (place.name, place.parent, place.child("d")) == ("c", Place("gcodes", "a/b"), Place("gcodes", "a/b/c/d"))
    assert place.inside(Place("gcodes", "a"))
    assert place.inside(Place("gcodes", ""))
    assert not place.inside(place)
    assert not Place("gcodes", "ab").inside(Place("gcodes", "a"))
    assert place.moved(Place("gcodes", "a"), Place("config", "x")) == Place("config", "x/b/c")
    assert place.moved(place, Place("config", "")) == Place("config", "")
