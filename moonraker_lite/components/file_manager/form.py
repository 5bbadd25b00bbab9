"""Reading multipart/form-data piece by piece, within bounds: one file and a few short fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from moonraker_lite.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from multipart import PushMultipartParser

MAX_PARTS = 64
MAX_HEADER = 8 * 1024  # bytes of one header line of a part
MAX_FIELD = 64 * 1024  # bytes of all fields together
MAX_PREAMBLE = 64 * 1024  # bytes before the first boundary


class FileBegins(msgspec.Struct, frozen=True):
    """The file's part begins; its content follows as bytes."""

    filename: str


class FormReader:
    """Feed it the body; it yields `FileBegins` once, then the file's content. `fields` fills as fields come in."""

    def __init__(self, content_type: str) -> None:
        """Raises UnsupportedMediaType, BadRequest: this is no form with a file."""
        from multipart import MultipartError, PushMultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data":
            raise UnsupportedMediaType("An upload must be sent as multipart/form-data with the file in a part 'file'")
        self.fields: dict[str, str] = {}
        self.has_file = False
        self._error = MultipartError
        try:
            self._parser: PushMultipartParser = PushMultipartParser(
                options.get("boundary", ""), max_header_size=MAX_HEADER, max_segment_count=MAX_PARTS
            )
        except MultipartError:
            raise BadRequest("The Content-Type of the upload has no valid boundary") from None
        self._field: str | None = None
        self._value = bytearray()
        self._field_bytes = 0
        self._in_file = False
        # The parser holds nothing back: what it holds begins with a carriage return, and the last piece that gave
        # content of the file had none.
        self._passes = False
        self._received = 0
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[FileBegins | bytes]:
        """Take the next piece of the body. Must be read to the end.

        Raises:
            BadRequest: the body is no proper form. PayloadTooLarge: it has too much besides the file.
        """
        from multipart import MultipartSegment

        self._received += len(chunk)
        has_return = b"\r" in chunk
        if self._passes and not has_return:
            # No boundary begins in it, nor has one begun before. The parser would search for a whole one to say the
            # same, which is a fifth of the cost of an upload.
            yield chunk
            return
        self._passes = False
        try:
            for event in self._parser.parse(chunk):
                if event is None:
                    self._part_ends()
                elif isinstance(event, MultipartSegment):
                    begins = self._part_begins(event)
                    if begins is not None:
                        yield begins
                elif self._in_file:
                    self._passes = not has_return
                    yield event
                elif self._field is not None:
                    self._take_field(event)
        except self._error as error:
            raise BadRequest(f"The multipart body is broken: {error.args[0] if error.args else error}") from None
        if not self._begun and self._received > MAX_PREAMBLE:
            raise BadRequest("The multipart body has no boundary")

    def close(self) -> None:
        """The body is complete.

        Raises:
            BadRequest: it is not, or it held no file.
        """
        try:
            self._parser.close()
        except self._error:
            raise BadRequest("The multipart body ends before its closing boundary") from None
        if not self.has_file:
            raise BadRequest("The upload has no part named 'file' with a filename")

    def _part_begins(self, segment: object) -> FileBegins | None:
        from multipart import MultipartSegment, parse_options_header

        assert isinstance(segment, MultipartSegment)
        self._begun = True
        # The library would read %22 in a name as a quote, as browsers write it; Moonraker keeps names as they are.
        _, options = parse_options_header(segment.header("Content-Disposition", ""))
        filename: str | None = options.get("filename")
        name = options.get("name", "")
        if name == "file" and filename is None:
            raise BadRequest("The part 'file' of the upload has no filename")
        if name != "file" or filename is None:
            # A file under another name is read and thrown away; a field is kept.
            self._field = name if filename is None else None
            return None
        if self.has_file:
            raise BadRequest("The upload has more than one file")
        self.has_file = self._in_file = True
        return FileBegins(filename)

    def _take_field(self, data: bytes) -> None:
        self._field_bytes += len(data)
        if self._field_bytes > MAX_FIELD:
            raise PayloadTooLarge(f"The fields of the upload have more than {MAX_FIELD} bytes")
        self._value += data

    def _part_ends(self) -> None:
        if self._field is not None:
            try:
                self.fields[self._field] = self._value.decode()
            except UnicodeDecodeError:
                raise BadRequest("A field of the upload is not valid UTF-8") from None
        self._field = None
        self._value = bytearray()
        self._in_file = self._passes = False
