"""Bodies of uploads, as browsers and slicers write them."""

from __future__ import annotations

BOUNDARY = "----testBoundary7MA4YWxkTrZu0gW"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
"""The Content-Type of these bodies."""

Value = str | tuple[str, bytes]
"""A field's text, or the name and the content of a file."""


def multipart(*parts: tuple[str, Value]) -> bytes:
    """A form of these parts (name, value), in their order."""
    body = b""
    for name, value in parts:
        if isinstance(value, str):
            body += _part(f'name="{name}"', value.encode())
        else:
            body += _file(f'name="{name}"; filename="{value[0]}"', value[1])
    return body + f"--{BOUNDARY}--\r\n".encode()


def form(
    filename: str,
    content: bytes | str,
    fields: dict[str, str] | None = None,
    *,
    file_first: bool = False,
    name: str = "file",
    disposition: str | None = None,
) -> bytes:
    """A form with one file; `disposition` stands instead of `filename="..."`."""
    data = content.encode() if isinstance(content, str) else content
    named = disposition if disposition is not None else f'filename="{filename}"'
    file = _file(f'name="{name}"; {named}', data)
    texts = b"".join(_part(f'name="{key}"', text.encode()) for key, text in (fields or {}).items())
    return (file + texts if file_first else texts + file) + f"--{BOUNDARY}--\r\n".encode()


def _file(described: str, content: bytes) -> bytes:
    return _part(described, content, "Content-Type: application/octet-stream\r\n")


def _part(described: str, content: bytes, more: str = "") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {described}\r\n{more}\r\n"
    return head.encode() + content + b"\r\n"
