"""Faults on demand: what a bad cable, a cheap USB converter or a sick printer does, from a seed."""

from __future__ import annotations

import random
import re

import msgspec

_RATES = frozenset(("corrupt", "drop", "lose_ok", "double_ok", "corrupt_reply", "noise", "noise_in", "delay", "reset"))
_COUNTS = frozenset(("seed", "reset_at", "runaway_at", "kill_at"))
_FLAGS = frozenset(("overrun",))
_NOISE = bytes((*range(0x01, 0x0A), *range(0x0E, 0x20), *range(0x7F, 0x100)))
_EMERGENCY = re.compile(rb" *(?:N[-0-9 ]*)?M ?(?:108|112|410|524|876)(?![0-9])").match


class FaultPlan(msgspec.Struct, frozen=True):
    """Rates per line (0..1), and numbers of executed commands at which something happens once (0 = never)."""

    seed: int = 0
    corrupt: float = 0.0
    """One byte of a received line is changed."""
    drop: float = 0.0
    """One byte of a received line is lost, the newline perhaps."""
    lose_ok: float = 0.0
    double_ok: float = 0.0
    corrupt_reply: float = 0.0
    """One byte of a reply line is changed."""
    noise: float = 0.0
    """A burst of random bytes before a reply line."""
    noise_in: float = 0.0
    """A burst of high and control bytes before a received line, in half of the cases with a newline behind it."""
    delay: float = 0.0
    """Replies are held back for up to a fifth of a second."""
    reset: float = 0.0
    """The board resets by itself, per executed command."""
    reset_at: int = 0
    runaway_at: int = 0
    """Thermal runaway of the hotend."""
    kill_at: int = 0
    """Homing failed."""
    overrun: bool = False
    """The receive buffer loses what does not fit, as a UART does; without it the line waits, as USB does."""

    @classmethod
    def parse(cls, text: str) -> FaultPlan:
        """`seed=1,corrupt=0.05,lose_ok=0.01,overrun`. ValueError: says which item is wrong and what is possible."""
        values: dict[str, int | float | bool] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (part.strip() for part in item.partition("="))
            try:
                if name in _FLAGS:
                    values[name] = not equals or bool(int(value))
                elif name in _COUNTS:
                    values[name] = int(value)
                elif name in _RATES and 0.0 <= float(value) <= 1.0:
                    values[name] = float(value)
                else:
                    raise ValueError
            except ValueError:
                possible = ", ".join(sorted(_RATES | _COUNTS | _FLAGS))
                raise ValueError(
                    f"Fault {item!r}: expected NAME=VALUE, rates from 0 to 1; names are {possible}"
                ) from None
        return msgspec.convert(values, cls)


class Faults:
    """Damages bytes by plan. All randomness is from the plan's seed."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)  # noqa: S311 - repeatable faults, no secrets
        self.damages_input = bool(plan.corrupt or plan.drop or plan.noise_in)
        self.damages_output = bool(plan.lose_ok or plan.double_ok or plan.corrupt_reply or plan.noise or plan.delay)

    def incoming(self, data: bytes) -> bytes:
        """Bytes from the host, as they arrive."""
        if not self.damages_input:
            return data
        return b"".join(self._damage(piece) for piece in data.splitlines(keepends=True))

    def _damage(self, line: bytes) -> bytes:
        if self.plan.noise_in and self.random.random() < self.plan.noise_in:
            return self._burst() + line
        # One damage per line: an 8-bit XOR lets one in 256 of the lines with two pass, whatever a host does.
        if self.random.random() < self.plan.corrupt:
            return change_byte(line, self.random)
        if self.random.random() < self.plan.drop:
            at = self.random.randrange(len(line))
            return line[:at] + line[at + 1 :]
        return line

    def _burst(self) -> bytes:
        """No letters: what happens to be a command without number is executed, whatever a host does."""
        burst = bytes(self.random.choice(_NOISE) for _ in range(self.random.randint(1, 12)))
        return burst + (b"\n" if self.random.random() < 0.5 else b"")

    def outgoing(self, line: bytes) -> bytes:
        """One reply line with its newline, as it arrives at the host: perhaps none, perhaps two."""
        rng = self.random
        plan = self.plan
        if line.startswith(b"ok"):
            if rng.random() < plan.lose_ok:
                return b""
            if rng.random() < plan.double_ok:
                line += line
        if rng.random() < plan.corrupt_reply:
            line = change_byte(line, rng)
        if rng.random() < plan.noise:
            burst = rng.randbytes(rng.randint(1, 12))
            line = burst + (b"\n" if rng.random() < 0.5 else b"") + line
        return line

    def delay(self) -> float:
        """Seconds by which the next replies are held back."""
        return self.random.random() * 0.2 if self.random.random() < self.plan.delay else 0.0


def change_byte(line: bytes, rng: random.Random) -> bytes:
    """The line with one byte changed to another printable one; its end stays.

    Three damages are left out because Marlin cannot detect them, whatever a host does: an `N` that becomes another
    command letter, and a byte that becomes a newline, both make an unnumbered command of (the rest of) the line; and
    its emergency parser acts on a `M110` that has become `M112` before anybody looks at the checksum.
    """
    size = len(line.rstrip(b"\r\n"))
    if not size:
        return line
    at = rng.randrange(size)
    while True:
        byte = rng.randrange(0x21, 0x7F)
        if byte == line[at] or (at == 0 and bytes((byte,)) in (b"G", b"M", b"T")):
            continue
        changed = line[:at] + bytes((byte,)) + line[at + 1 :]
        if not _EMERGENCY(changed) or _EMERGENCY(line):
            return changed
