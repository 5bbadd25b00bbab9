"""Which fields of which printer objects somebody wants: normal form, union, cover, and picking them from a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moonraker_lite.klippy.errors import KlippyError
from moonraker_lite.klippy.listener import Status

Fields = frozenset[str] | None
"""Names of fields; None stands for all."""

Selection = Mapping[str, Fields]


def parse_selection(objects: object) -> dict[str, Fields]:
    """What a client sent as `objects`. Raises KlippyError with Klipper's sentences for wrong types."""
    if not isinstance(objects, Mapping):
        raise KlippyError("Invalid Argument Type [objects]")
    selection: dict[str, Fields] = {}
    for name, fields in objects.items():
        if not isinstance(name, str):
            raise KlippyError("Invalid argument")
        if fields is None:
            selection[name] = None
        elif isinstance(fields, list | tuple | set | frozenset) and all(isinstance(field, str) for field in fields):
            selection[name] = frozenset(fields)
        else:
            raise KlippyError("Invalid argument")
    return selection


def canonical(selection: Selection) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    """A hashable form that is equal for selections of the same fields."""
    return tuple(
        (name, None if (fields := selection[name]) is None else tuple(sorted(fields))) for name in sorted(selection)
    )


def union(selections: Iterable[Selection]) -> dict[str, Fields]:
    """The smallest selection that covers all of them."""
    merged: dict[str, Fields] = {}
    for selection in selections:
        for name, fields in selection.items():
            known = merged.get(name, frozenset())
            merged[name] = None if fields is None or known is None else known | fields
    return merged


def covers(outer: Selection, inner: Selection) -> bool:
    """True if everything of `inner` is in `outer`."""
    for name, fields in inner.items():
        if name not in outer:
            return False
        known = outer[name]
        if known is not None and (fields is None or not fields <= known):
            return False
    return True


def pick_full(cache: Status, selection: Selection) -> Status:
    """All known values of the selection; an unknown object is {}, as Klipper answers."""
    return {name: _pick_fields(cache.get(name, {}), fields) for name, fields in selection.items()}


def pick_changed(changed: Status, selection: Selection) -> Status:
    """What of an update concerns the selection; empty if nothing does."""
    picked: Status = {}
    for name, values in changed.items():
        if name in selection and (kept := _pick_fields(values, selection[name])):
            picked[name] = kept
    return picked


def changes(old: Status, new: Status) -> Status:
    """The fields of `new` that `old` has not, or has with another value."""
    found: Status = {}
    for name, values in new.items():
        before = old.get(name, {})
        different = {key: value for key, value in values.items() if key not in before or before[key] != value}
        if different:
            found[name] = different
    return found


def _pick_fields(values: dict[str, Any], fields: Fields) -> dict[str, Any]:
    return dict(values) if fields is None else {key: value for key, value in values.items() if key in fields}
