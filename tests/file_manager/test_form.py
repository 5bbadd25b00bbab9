"""Reading forms: in any order and any pieces, and only within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.components.file_manager.form import MAX_FIELD, MAX_PREAMBLE, FileBegins, FormReader
from moonraker_lite.errors import BadRequest, HostError, PayloadTooLarge, UnsupportedMediaType
from tests.support.forms import BOUNDARY, KIND, form


def read(body: bytes, step: int = 1 << 30) -> tuple[dict[str, str], str, bytes]:
    reader = FormReader(KIND)
    name, content = "", b""
    for start in range(0, len(body), step):
        for event in reader.feed(body[start : start + step]):
            if isinstance(event, FileBegins):
                name = event.filename
            else:
                content += event
    reader.close()
    return reader.fields, name, content


@settings(max_examples=200, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=300), st.sampled_from([b"\r\n--", f"\r\n--{BOUNDARY}x".encode(), b"\r" * 99])),
    fields=st.dictionaries(
        st.sampled_from(["root", "path", "print", "x"]), st.text(max_size=20).filter(str.isprintable)
    ),
    file_first=st.booleans(),
    step=st.integers(1, 400),
)
def test_pieces_and_order_do_not_matter(content: bytes, fields: dict[str, str], file_first: bool, step: int) -> None:
    if f"\r\n--{BOUNDARY}".encode() in content:
        content = content.replace(BOUNDARY.encode(), b"other")
    body = form("a b.gcode", content, fields, file_first=file_first)
    assert read(body, step) == (fields, "a b.gcode", content)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_is_refused_politely(body: bytes, step: int) -> None:
    with pytest.raises(HostError) as error:
        read(body, step)
    assert error.value.status in (400, 413)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_form_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(form("a.gcode", b"G28\n" * 10, {"root": "gcodes"}))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(body), data.draw(st.integers(1, 100)))
    except HostError as error:
        assert error.status in (400, 413)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="q\\"uote.gcode"', 'q"uote.gcode'),
        ('filename="pct%22.gcode"', "pct%22.gcode"),
        ("filename=\"fallback.gcode\"; filename*=UTF-8''%C3%BC-star.gcode", "fallback.gcode"),
        ('filename="ü.gcode"', "ü.gcode"),
        ("filename=plain.gcode", "plain.gcode"),
    ],
)
def test_file_names_are_read_as_moonraker_reads_them(disposition: str, name: str) -> None:
    assert read(form("", b"x", disposition=disposition))[1] == name


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("", UnsupportedMediaType),
        ("application/json", UnsupportedMediaType),
        ("multipart/form-data", BadRequest),
        ("multipart/form-data; boundary=", BadRequest),
        ('multipart/form-data; boundary="a\nb"', BadRequest),
    ],
)
def test_content_types_that_are_no_form(kind: str, error: type[HostError]) -> None:
    with pytest.raises(error):
        FormReader(kind)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        form("a.gcode", b"x" * 100)[:-10],
        form("a.gcode", b"x", name="fileX"),
        form("", b"x" * 100_000, disposition=""),
        form("a.gcode", b"x") .replace(f"--{BOUNDARY}--\r\n".encode(), b"") + form("b.gcode", b"y"),
        f"--{BOUNDARY}\r\nX: {'y' * 9000}\r\n".encode(),
        f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 100,
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'.encode() * 100_000,
        b"\r\n" * MAX_PREAMBLE,
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="root"\r\n\r\n\xff\r\n'.encode("latin-1"),
    ],
    ids=["empty", "garbage", "cut", "other name", "no filename", "two files", "long header", "many headers",
         "many parts", "no boundary", "not utf-8"],
)  # fmt: skip
def test_broken_forms_are_400(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body, 65536)


def test_fields_are_bounded() -> None:
    with pytest.raises(PayloadTooLarge):
        read(form("a.gcode", b"x", {"root": "x" * (MAX_FIELD + 1)}), 4096)


def test_fields_with_internal_names_are_only_fields() -> None:
    """What other servers keep inside (file.path, file.name) means nothing here: nothing is moved by it."""
    fields, name, content = read(
        form("a.gcode", b"x", {"file.path": "/etc/passwd", "file.name": "evil", "tmp_file_path": "/x"})
    )
    assert (name, content) == ("a.gcode", b"x")
    assert set(fields) == {"file.path", "file.name", "tmp_file_path"}
