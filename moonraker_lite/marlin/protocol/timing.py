"""How long silence is normal: measured round trips, and the commands that are known to block."""

from __future__ import annotations

from moonraker_lite.marlin.protocol.wire import command_word

SHORTEST_TIMEOUT = 0.1
LONGEST_TIMEOUT = 1.5
"""Together with one answer's round trip, a lost `ok` never costs two seconds where nothing blocking runs."""

KEEPALIVE_PATIENCE = 4.5
"""A firmware that sends `busy:` does so every 2 s: twice missed means that it is busy no longer."""

_SAMPLES = 256

_PATIENCE: dict[bytes, float] = {
    b"G28": 10.0,
    b"G29": 30.0,
    b"G30": 5.0,
    b"G33": 30.0,
    b"G34": 30.0,
    b"G35": 30.0,
    b"G76": 60.0,
    b"G425": 30.0,
    b"M0": 60.0,
    b"M1": 60.0,
    b"M25": 10.0,
    b"M48": 30.0,
    b"M109": 10.0,
    b"M116": 10.0,
    b"M125": 60.0,
    b"M190": 10.0,
    b"M191": 10.0,
    b"M226": 60.0,
    b"M303": 30.0,
    b"M400": 5.0,
    b"M410": 3.0,
    b"M500": 3.0,
    b"M524": 5.0,
    b"M600": 60.0,
    b"M701": 60.0,
    b"M702": 60.0,
    b"T": 5.0,
}


def patience_with(body: bytes) -> float:
    """Seconds without any sign of life after which one asks, while this command is being executed; 0 = no longer
    than for any other. Asking early does no harm, it only takes a slot in the firmware's queue."""
    word = command_word(body)
    if word == b"G4":
        return 1.0 + _dwell(body)
    return _PATIENCE.get(word, 0.0)


def _dwell(body: bytes) -> float:
    """Seconds of `G4 S2` or `G4 P500` (milliseconds); 0 where it cannot be read."""
    for field in body.upper().replace(b"P", b" P").replace(b"S", b" S").split()[1:]:
        try:
            if field[:1] == b"S":
                return min(float(field[1:]), 3600.0)
            if field[:1] == b"P":
                return min(float(field[1:]) / 1000.0, 3600.0)
        except ValueError:
            return 0.0
    return 0.0


class RoundTrips:
    """Time from putting a line on the wire to its acknowledgement: smoothed as TCP does it, and its last 256 values."""

    __slots__ = ("_next", "_ring", "_smooth", "_spread", "floor")

    def __init__(self) -> None:
        self._ring: list[float] = []
        self._next = 0
        self._smooth = 0.0
        self._spread = 0.0
        self.floor = 0.0
        """A slowly forgetting minimum of what one line alone takes: nothing is answered much sooner. 0 = unknown."""

    def add(self, seconds: float) -> None:
        """One measured round trip. Never from a line that was sent twice: whose answer would it be?"""
        ring = self._ring
        if len(ring) < _SAMPLES:
            if not ring:
                self._smooth = seconds
                self._spread = seconds / 2
            ring.append(seconds)
        else:
            ring[self._next] = seconds
            self._next = (self._next + 1) % _SAMPLES
        error = seconds - self._smooth
        self._smooth += error * 0.125
        self._spread += ((error if error >= 0.0 else -error) - self._spread) * 0.25

    def add_alone(self, seconds: float) -> None:
        """A round trip of a line that was alone on the wire."""
        self.add(seconds)
        if len(self._ring) >= 8:
            floor = self.floor or seconds
            self.floor = seconds if seconds < floor else floor + (seconds - floor) * 0.005

    @property
    def timeout(self) -> float:
        """After how long a silence the line is asked for a sign of life, in seconds."""
        if not self._ring:
            return 1.0
        return min(max(self._smooth + 4 * self._spread, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)

    def percentile(self, share: float) -> float | None:
        """The value below which `share` (0..1) of the last round trips were."""
        if not self._ring:
            return None
        ordered = sorted(self._ring)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
