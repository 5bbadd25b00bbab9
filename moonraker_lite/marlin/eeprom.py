"""The firmware's settings as it told them, what has been changed since, and whether M500 would store anything new.

A firmware says what it uses (M503), not what its EEPROM holds. What it used when the session began counts as stored;
from then on every command that changes a setting, and every M500, M501 and M502, is followed. What a file that is
printed changes (slicers write an M204 for every kind of line) is in use, but nobody wants it to be stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from moonraker_lite.marlin.settings_report import Setting

Values = dict[str, float]

# What M500 stores (as far as the firmware was built with it), and the words that belong to the setting.
STORED: dict[str, str] = {
    "M92": "XYZEABCUVW",
    "M145": "HBF",
    "M200": "DS",
    "M201": "XYZEABCUVW",
    "M203": "XYZEABCUVW",
    "M204": "PRT",
    "M205": "BSTJXYZE",
    "M206": "XYZABC",
    "M207": "SWFZ",
    "M208": "SWFR",
    "M209": "S",
    "M218": "XYZ",
    "M301": "PIDCL",
    "M304": "PID",
    "M309": "PID",
    "M412": "SD",
    "M413": "S",
    "M420": "Z",
    "M566": "XYZE",
    "M593": "FD",
    "M603": "LU",
    "M665": "LRSHABCXYZ",
    "M666": "XYZ",
    "M851": "XYZ",
    "M900": "K",
    "M906": "XYZE",
    "M913": "XYZE",
    "M914": "XYZ",
}
_TOLERANCE = 1e-4


def key_of(command: str, values: Mapping[str, float | None]) -> str:
    """Return the name under which a setting is kept: `M301`, of a further tool `M301 T1`, of M593 `M593 X`."""
    if command == "M593":
        axes = [axis for axis in "XY" if axis in values]
        return f"M593 {axes[0]}" if len(axes) == 1 else command
    if command in ("M92", "M201", "M203", "M301", "M207", "M208", "M218", "M900", "M906", "M145", "M200"):
        tool = values.get({"M301": "E", "M145": "S"}.get(command, "T"))
        if tool:
            return f"{command} T{int(tool)}"
    return command


class StoredSettings:
    """`values`: key (see `key_of`) -> word -> number, as the firmware uses them now."""

    def __init__(self) -> None:
        self.values: dict[str, Values] = {}
        self._stored: dict[str, Values] = {}
        # Keys and words that were changed otherwise than by a print.
        self._changed: set[tuple[str, str]] = set()
        # Counts changes of what is stored and of what could be, for whoever keeps what was made of it.
        self.version = 0

    def read(self, setting: Setting) -> None:
        """Take a line in which the firmware tells a setting."""
        if setting.command == "M200" and setting.values.get("D") == 0.0:
            return  # Marlin 1 says by that that it does not count in volumes; the diameter stands above
        key = key_of(setting.command, setting.values)
        values = self.values.setdefault(key, {})
        for word, value in setting.values.items():
            before = values.get(word)
            if before == value:
                continue
            if before is None:
                self._stored.setdefault(key, {})[word] = value  # not new, only not known until now
            else:
                self._changed.add((key, word))
            values[word] = value
            self.version += 1

    def change(self, command: str, words: Mapping[str, float | None], *, lasting: bool = True) -> None:
        """Take account of a command that the firmware has executed; `lasting` False when it stands in a print."""
        known = STORED.get(command)
        if known is None:
            return
        told = {word: value for word, value in words.items() if word in known and value is not None}
        if command == "M204" and words.get("S") is not None:
            told.update(P=words["S"] or 0.0, T=words["S"] or 0.0)
        if not told:
            return
        both = command == "M593" and not ({"X", "Y"} & words.keys())
        for key in ("M593 X", "M593 Y") if both else (key_of(command, words),):
            self.values.setdefault(key, {}).update(told)
            if lasting:
                self._changed.update((key, word) for word in told)
        self.version += lasting

    def all_stored(self) -> None:
        """What is used is what the EEPROM holds: a session begins, or M500, or M501 and its list."""
        self._stored = {key: dict(values) for key, values in self.values.items()}
        self._changed.clear()
        self.version += 1

    def get(self, command: str, word: str, tool: int = 0, *, stored: bool = False) -> float | None:
        """Return a value in use, or as it is stored; a further tool without one of its own has that of the first."""
        values = self._stored if stored else self.values
        if tool and (value := values.get(f"{command} T{tool}", {}).get(word)) is not None:
            return value
        return values.get(command, {}).get(word)

    def pending(self) -> dict[str, Values]:
        """Return the stored settings that differ from what is used: key -> word -> value in use."""
        found: dict[str, Values] = {}
        for key, values in self.values.items():
            known = STORED.get(key.partition(" ")[0], "")
            before = self._stored.get(key, {})
            changed = {
                word: value
                for word, value in values.items()
                if word in known and (key, word) in self._changed and _differ(value, before.get(word))
            }
            if changed:
                found[key] = changed
        return found


def _differ(value: float, before: float | None) -> bool:
    return before is None or abs(value - before) > _TOLERANCE * max(1.0, abs(before))
