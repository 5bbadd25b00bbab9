"""From the text of an option to a value of the field's type, or a sentence saying what would be valid.

Types are described by `msgspec.inspect`, so a field's annotation is the only declaration there is. An option without a
value (`port:`) counts as not given wherever an empty text cannot be meant.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import inspect as shapes

TRUE_WORDS = frozenset({"true", "yes", "on", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "0"})
NOTHING_WORDS = frozenset({"", "none", "auto"})
"""What means None for an optional field that is no text."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_SHOWN = 60

_N = TypeVar("_N", int, float)


class NotGiven:
    """The option stands there without a value: the field keeps its default."""


NOT_GIVEN: Final = NotGiven()


class InvalidValue(ValueError):
    """`text` is not `expected`; both are parts of the sentence that the user reads."""

    def __init__(self, text: str, expected: str) -> None:
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
        super().__init__(f'"{shown}" is not {expected}')
        self.expected = expected


def convert(text: str, kind: shapes.Type) -> Any:
    """The value of an option, or `NOT_GIVEN`.

    Raises:
        InvalidValue: the text does not fit the type.
        TypeError: settings may not have a field of this type (an error of the program).
    """
    extra: dict[str, Any] = {}
    while isinstance(kind, shapes.Metadata):
        extra |= kind.extra or {}
        kind = kind.type
    word = text.strip()
    if isinstance(kind, shapes.UnionType):
        return _union(word, kind)
    if isinstance(kind, shapes.ListType | shapes.VarTupleType | shapes.SetType | shapes.FrozenSetType):
        return _collection(text, kind, extra.get("separator"))
    if isinstance(kind, shapes.DictType):
        return _dictionary(text, kind)
    if isinstance(kind, shapes.StrType):
        return _text(word, kind)
    return _single(word, kind) if word else NOT_GIVEN


def wants_template(kind: shapes.Type) -> bool:
    """Whether the field is declared with `Meta(extra={"template": True})`, itself or within a union."""
    if isinstance(kind, shapes.Metadata):
        return bool((kind.extra or {}).get("template")) or wants_template(kind.type)
    return isinstance(kind, shapes.UnionType) and any(map(wants_template, kind.types))


def expected(kind: shapes.Type) -> str:
    """What a valid value is, as the end of the sentence `"x" is not ...`."""
    match kind:
        case shapes.Metadata():
            return expected(kind.type)
        case shapes.UnionType():
            return " or ".join(expected(part) for part in kind.types if not isinstance(part, shapes.NoneType))
        case shapes.BoolType():
            return "yes or no (true, false, on, off, 1, 0)"
        case shapes.IntType():
            return f"a whole number{_bounds(kind)}"
        case shapes.FloatType():
            return f"a number{_bounds(kind)}"
        case shapes.LiteralType():
            return _one_of([str(value) for value in kind.values])
        case shapes.EnumType():
            return _one_of([str(member.value) for member in kind.cls])
        case shapes.StrType():
            return _text_rule(kind)
        case _:
            return "a path" if isinstance(kind, shapes.CustomType) else "a valid value"


def _single(word: str, kind: shapes.Type) -> Any:
    """A value of one word, which is not empty."""
    match kind:
        case shapes.BoolType():
            if word.lower() in TRUE_WORDS | FALSE_WORDS:
                return word.lower() in TRUE_WORDS
        case shapes.IntType():
            if _WHOLE.fullmatch(word) and _within(int(word), kind):
                return int(word)
        case shapes.FloatType():
            if _NUMBER.fullmatch(word) and math.isfinite(float(word)) and _within(float(word), kind):
                return float(word)
        case shapes.LiteralType() | shapes.EnumType():
            values = kind.values if isinstance(kind, shapes.LiteralType) else tuple(kind.cls)
            for value in values:
                if str(getattr(value, "value", value)).lower() == word.lower():
                    return value
        case shapes.CustomType() if issubclass(kind.cls, Path):
            return kind.cls(os.path.expanduser(word))
        case _:
            raise TypeError(f"settings cannot hold a value of type {kind!r}")
    raise InvalidValue(word, expected(kind))


def _union(word: str, kind: shapes.UnionType) -> Any:
    """The first part that takes the word; text and paths take everything, so they are asked last."""
    parts = [part for part in kind.types if not isinstance(part, shapes.NoneType)]
    optional = len(parts) < len(kind.types)
    if optional and not word:
        return None
    for part in sorted(parts, key=_takes_everything):
        try:
            return convert(word, part)
        except InvalidValue:
            continue
    if optional and word.lower() in NOTHING_WORDS:
        return None
    raise InvalidValue(word, expected(kind))


def _takes_everything(kind: shapes.Type) -> bool:
    bare = kind.type if isinstance(kind, shapes.Metadata) else kind
    return isinstance(bare, shapes.StrType | shapes.CustomType)


def _text(word: str, kind: shapes.StrType) -> str:
    too_short = kind.min_length is not None and len(word) < kind.min_length
    too_long = kind.max_length is not None and len(word) > kind.max_length
    if too_short or too_long or (kind.pattern is not None and not re.search(kind.pattern, word)):
        raise InvalidValue(word, expected(kind))
    return word


def _collection(
    text: str,
    kind: shapes.ListType | shapes.VarTupleType | shapes.SetType | shapes.FrozenSetType,
    separator: str | None,
) -> Any:
    """One element per line or between commas; `Meta(extra={"separator": "\\n"})` where elements may hold commas."""
    parts = text.split(separator) if separator else text.replace(",", "\n").split("\n")
    items = [convert(part, kind.item_type) for part in map(str.strip, parts) if part]
    if kind.min_length is not None and len(items) < kind.min_length:
        raise InvalidValue(text.strip(), f"a list of at least {kind.min_length}")
    match kind:
        case shapes.ListType():
            return items
        case shapes.VarTupleType():
            return tuple(items)
        case shapes.SetType():
            return set(items)
        case shapes.FrozenSetType():
            return frozenset(items)


def _dictionary(text: str, kind: shapes.DictType) -> dict[Any, Any]:
    """One `key: value` or `key = value` per line."""
    result = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        at = min((place for place in (line.find(":"), line.find("=")) if place > 0), default=-1)
        if at < 0:
            raise InvalidValue(line, 'a pair "name: value"')
        result[convert(line[:at], kind.key_type)] = convert(line[at + 1 :], kind.value_type)
    return result


def _within(value: _N, kind: shapes.IntType | shapes.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _bounds(kind: shapes.IntType | shapes.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" between {kind.ge} and {kind.le}"
    rules = [("of at least", kind.ge), ("above", kind.gt), ("of at most", kind.le), ("below", kind.lt)]
    given = [f"{word} {limit}" for word, limit in rules if limit is not None]
    return f" {' and '.join(given)}" if given else ""


def _one_of(words: list[str]) -> str:
    return f"one of {', '.join(words)}" if len(words) > 1 else f'"{words[0]}"'


def _text_rule(kind: shapes.StrType) -> str:
    if kind.pattern is not None:
        return f"a text that fits {kind.pattern}"
    if kind.max_length is not None:
        return f"a text of {kind.min_length or 0} to {kind.max_length} characters"
    return f"a text of at least {kind.min_length} characters" if kind.min_length else "a text"
