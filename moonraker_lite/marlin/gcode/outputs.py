"""Pins and lights that the owner has named: `[output_pin NAME]` by M42, `[led NAME]` and its kin by M150."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Send

LIGHTS = ("led", "neopixel", "dotstar")
KINDS = ("output_pin", *LIGHTS)
_YES = frozenset({"1", "true", "yes", "on"})
_COLOURS = (("RED", "R"), ("GREEN", "U"), ("BLUE", "B"), ("WHITE", "W"))


class Pin(msgspec.Struct):
    """One output. `number` is Marlin's; `value` goes from 0 to 1."""

    number: int
    pwm: bool
    value: float = 0.0


class Light(msgspec.Struct):
    """One light or strip. `strip` is M150's S, where there are several; `colour` has four parts of 0 to 1."""

    strip: int | None
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


class Outputs:
    """The commands, and the objects that frontends make switches of. By name of the section."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pins: dict[str, Pin] = {}
        self._lights: dict[str, Light] = {}
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "SET_LED": self._set_light,
            "SET_PIN": self._set_pin,
        }

    def load(self, sections: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Take the outputs of a configuration in place of those before; return what is wrong with it."""
        self._pins, self._lights = {}, {}
        problems = []
        for section, options in sections.items():
            kind, _, name = section.partition(" ")
            try:
                if kind == "output_pin" and name:
                    number = options.get("pin", "").strip().upper().removeprefix("P")
                    self._pins[section] = Pin(_whole(number, "pin"), options.get("pwm", "").strip().lower() in _YES)
                elif kind in LIGHTS and name:
                    self._lights[section] = Light(_whole(options["strip"], "strip") if "strip" in options else None)
            except ValueError as error:
                problems.append(f"[{section}] {error}; it is left out")
        return problems

    def names(self) -> list[str]:
        return [*self._pins, *self._lights]

    def status(self, section: str) -> dict[str, Any] | None:
        if pin := self._pins.get(section):
            return {"value": pin.value}
        light = self._lights.get(section)
        return {"color_data": [list(light.colour)]} if light is not None else None

    def settings(self, section: str) -> dict[str, Any]:
        """Return what `configfile.settings` says of an output."""
        if pin := self._pins.get(section):
            return {"pin": str(pin.number), "pwm": pin.pwm, "scale": 1.0, "value": 0.0, "shutdown_value": 0.0}
        return {
            "color_order": ["RGBW"],
            "chain_count": 1,
            **{f"initial_{colour.lower()}": 0.0 for colour, _ in _COLOURS},
        }

    async def _set_pin(self, command: Command) -> None:
        options = Options(command)
        value = options.number("VALUE", minimum=0.0, maximum=1.0)
        name = options.text("PIN")
        if name.isdecimal():
            await self._send(f"M42 P{int(name[:4])} S{round(value * 255)}")
            return
        pin = self._pins[_named("PIN", options, self._pins)]
        if not pin.pwm:
            value = float(value > 0.0)
        await self._send(f"M42 P{pin.number} S{round(value * 255)}")
        pin.value = value

    async def _set_light(self, command: Command) -> None:
        options = Options(command)
        light = self._lights[_named("LED", options, self._lights)]
        red, green, blue, white = (options.number(name, 0.0, minimum=0.0, maximum=1.0) for name, _ in _COLOURS)
        words = [
            f"{letter}{round(part * 255)}"
            for part, (_, letter) in zip((red, green, blue, white), _COLOURS, strict=True)
        ]
        if "INDEX" in options:
            words.append(f"I{options.integer('INDEX', minimum=1) - 1}")
        if light.strip is not None:
            words.append(f"S{light.strip}")
        await self._send(f"M150 {' '.join(words)}")
        light.colour = (red, green, blue, white)


def _named(option: str, options: Options, found: Mapping[str, object]) -> str:
    """Return the section whose name an option gives. Raise CommandError."""
    names = {section.partition(" ")[2]: section for section in found}
    if not names:
        raise CommandError(f"The value '{options.text(option)}' is not valid for {option}: none is configured")
    return names[options.choice(option, list(names))]


def _whole(text: str, option: str) -> int:
    if not (text.strip().isdecimal() and len(text.strip()) <= 4):
        raise ValueError(f"{option}: {text!r} is not the number of one")
    return int(text)
