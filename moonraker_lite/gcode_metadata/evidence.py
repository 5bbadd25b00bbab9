"""What a file says, before any slicer's dialect is applied: its comments as key and value, and where its moves are.

One compiled pass over the bytes of both windows finds every comment of the form `; key = value` (also `:` or `,` as the
separator, also in parentheses). Rules then ask for keys; nothing else of the text is looked at again, except by the few
rules that need G-code itself (`moves`), and only when no comment stated the fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from moonraker_lite.gcode_metadata import fields
from moonraker_lite.gcode_metadata.window import EXTRUDING_MOVE, START_MARGIN, Windows, last_match

T = TypeVar("T")

# The line break is looked at afterwards: a search for one byte is much the fastest.
_COMMENT = re.compile(
    rb";(?<=\n;)[; \t*-]*+"
    rb"(?!(?:TYPE|WIDTH|HEIGHT|MESH|TIME_ELAPSED|Z):)"  # thousands of them between the moves
    rb"([^\n:=,]{1,160}+)[:=,]([^\r\n]*+)"
)
_PARENTHESIS = re.compile(
    rb"\((?<=\n\()[( \t*-]*+"
    rb"(?!\w+ path,)"
    rb"([^\n:=,]{1,160}+)[:=,]([^\r\n]*+)"
)
MAX_COMMENTS = 15_000
_MANY = 128 * 1024

_MARKS = (
    rb"(?:LAYER_CHANGE|CHANGE_LAYER|LAYER: ?0\b|BEGIN_LAYER_OBJECT|layer 1,|Layer 1\b|layer:|; --- layer 0\b"
    rb"|<layer>|Slice 0,)"
)
LAYER_MARK = re.compile(rb"\n[;(][ \t]*+" + _MARKS)
"""How the slicers mark the first layer."""
_LAYER_MARK = re.compile(rb";(?<=\n;)[ \t]*+" + _MARKS)
_OLD_LAYER_MARK = re.compile(rb"\((?<=\n\()[ \t]*+" + _MARKS)
"""The same, quicker to find."""

_COMMAND = re.compile(rb"\n[MG]\d++\s[^\n]*+\n")
_LAST_COMMAND = re.compile(rb"\n(?=[MG]\d++\s[^\n]*+\n)")
_NOT_SPELLING = re.compile(rb"[^a-z0-9]++")
_PROCESSOR = re.compile(
    rb"\n;[^\n]{0,80}?\b[Pp]rocessed[^\n]{0,60}? by (preprocess_cancellation|klipper_estimator|moonraker_lite)\b"
)
_PROCESSOR_MARGIN = 4096


class Evidence:
    """Comments and windows of one file. `cut` are byte ranges of the head to pass over (thumbnails)."""

    def __init__(self, windows: Windows, cut: Sequence[tuple[int, int]] = ()) -> None:
        self.windows = windows
        self.text = b"\n" + _without(windows.head, cut)
        self._after_cut = cut[-1][1] if cut else 0
        self._comments: dict[bytes, list[bytes]] = {}
        self._kept: dict[Callable[[Evidence], object], Any] = {}
        self._read(_COMMENT, self.text)
        self._read(_PARENTHESIS, self.text)
        if not windows.whole:
            self._read(_COMMENT, windows.tail)

    def all(self, key: str) -> list[bytes]:
        """The values of a key (lower case) in the order of the file; empty when it is not there."""
        return self._comments.get(key.encode(), [])

    def first(self, key: str) -> bytes | None:
        values = self._comments.get(key.encode())
        return values[0] if values else None

    def last(self, key: str) -> bytes | None:
        values = self._comments.get(key.encode())
        return values[-1] if values else None

    def matched(self, expression: re.Pattern[bytes], read: Callable[[bytes], Any], *, last: bool = False) -> Any:
        """The first group of the expression's first (or last) match in the head's or the tail's text, through `read`.

        The first value that can be read counts; both ends begin with a line break.
        """
        texts = [self.text] if self.windows.whole else [self.text, b"\n" + self.windows.tail]
        for text in reversed(texts) if last else texts:
            matches = islice(expression.finditer(text), MAX_COMMENTS)
            for found in reversed(list(matches)) if last else matches:
                value = read(found[1] or b"")
                if value is not None:
                    return value
        return None

    def once(self, make: Callable[[Evidence], T]) -> T:
        """What `make` finds in this file, kept for the next rule that asks."""
        if make not in self._kept:
            self._kept[make] = make(self)
        kept: T = self._kept[make]
        return kept

    @cached_property
    def spelled(self) -> dict[bytes, bytes]:
        """The first value of each key, by the key's letters and digits alone."""
        result: dict[bytes, bytes] = {}
        for key, values in self._comments.items():
            result.setdefault(_NOT_SPELLING.sub(b"", key), values[0])
        return result

    @cached_property
    def start(self) -> bytes:
        """The text up to the first layer: header comments and start code."""
        if self.first_layer_at:
            # What was cut out lies before the mark.
            return self.text[: len(self.text) - len(self.windows.head) + self.first_layer_at + 1]
        move = self.first_move
        return self.text[: move.start() + 1] if move else self.text

    @cached_property
    def first_move(self) -> re.Match[bytes] | None:
        """The first one in the head's text that feeds filament."""
        return EXTRUDING_MOVE.search(self.text)

    @cached_property
    def first_layer_at(self) -> int:
        """Where the mark of the first layer stands in the head; 0 without one."""
        found = _layer_mark(self.windows.head, self._after_cut)
        return found.start() - 1 if found else 0

    @cached_property
    def first_layer(self) -> bytes:
        """The text up to a little more than its first layer begins with: what marks each layer stands here."""
        first = EXTRUDING_MOVE.search(self.text, len(self.start) - 1) if self.first_layer_at else self.first_move
        return self.text if first is None else self.text[: first.end() + START_MARGIN]

    @cached_property
    def used_tools(self) -> tuple[int, ...]:
        """Numbers of the tools that feed filament, as far as the comments tell; empty when they do not."""
        numbered = self.first("filament")
        if numbered is not None and re.fullmatch(rb"\s*\d{1,3}+(?:\s*,\s*\d{1,3}+)*+\s*", numbered):
            return tuple(sorted({int(item) - 1 for item in numbered.split(b",") if int(item) > 0}))
        for key in ("filament used [mm]", "filament used [g]", "filament used"):
            value = self.first(key)
            if value is not None and b"," in value:
                lengths = [fields.positive(item) for item in fields.items(value)]
                return tuple(tool for tool, length in enumerate(lengths) if length)
        return ()

    @property
    def first_tool(self) -> int:
        return self.used_tools[0] if self.used_tools else 0

    def command_range(self) -> tuple[int | None, int | None]:
        """Byte offsets where the G-code begins and ends, as Moonraker counts them.

        The beginning is that of the line break before the first M or G command with a parameter (or a line after it),
        the end is behind the last one.
        """
        head, tail = self.windows.head, self.windows.tail
        start = _COMMAND.search(head)
        last = last_match(_LAST_COMMAND, tail, (b"\nG", b"\nM"))
        whole = _COMMAND.match(tail, last.start()) if last is not None else None
        return (start.start() if start else None), (self.windows.tail_offset + whole.end() if whole else None)

    def processors(self) -> list[str]:
        """Programs that rewrote the file after slicing and say so at one of its ends."""
        ends = (self.text[:_PROCESSOR_MARGIN], self.windows.tail[-_PROCESSOR_MARGIN:])
        found = {name.decode(): None for end in ends if b"rocessed" in end for name in _PROCESSOR.findall(end)}
        return list(found)

    def _read(self, form: re.Pattern[bytes], data: bytes) -> None:
        comments = self._comments
        # Making all at once is twice as quick, and a small text cannot hold too many.
        found = (
            form.findall(data)
            if len(data) <= _MANY
            else (match.groups() for match in islice(form.finditer(data), MAX_COMMENTS))
        )
        for key, value in found:
            name = key.rstrip().lower()
            if name in comments:
                comments[name].append(value)
            else:
                comments[name] = [value]


def _layer_mark(text: bytes, start: int) -> re.Match[bytes] | None:
    return _LAYER_MARK.search(text, start) or _OLD_LAYER_MARK.search(text, start)


def _without(data: bytes, cut: Sequence[tuple[int, int]]) -> bytes:
    if not cut:
        return data
    pieces = []
    position = 0
    for start, end in cut:
        pieces.append(data[position:start])
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
