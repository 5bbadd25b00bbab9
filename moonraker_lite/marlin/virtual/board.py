"""The virtual Marlin without its pty: bytes and time in, bytes out.

The main loop is the firmware's: take lines out of the receive ring while the queue of four has room, execute one,
say `ok` when it is done. A command that takes time is an iterator over the times at which it wants to be woken; while
it runs, the firmware says that it is busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from moonraker_lite.marlin.virtual import reports
from moonraker_lite.marlin.virtual.card import Card
from moonraker_lite.marlin.virtual.faults import Faults
from moonraker_lite.marlin.virtual.motion import Motion
from moonraker_lite.marlin.virtual.personality import MARLIN_2_1, MeshKind, Personality
from moonraker_lite.marlin.virtual.receiver import Command, Receiver
from moonraker_lite.marlin.virtual.thermal import Heater
from moonraker_lite.marlin.virtual.words import command_of, parse_words

BUFSIZE = 4
KEEPALIVE = 2.0
BOOT_SECONDS = 0.05

Run = Iterator[float] | None
"""A command that takes time: yields the times at which it wants to be woken. None: it is done."""
Handler = Callable[["Board", bytes], Run]
"""Executes one command, given what stands behind its name."""


class Board:
    """One Marlin board with hotends, a bed, fans and a probe, as its personality has them."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        faults: Faults,
        *,
        speed: float = 1.0,
        advanced_ok: bool = True,
        emergency_parser: bool = True,
        keepalive: bool = True,
        sends_wait: bool = False,
        ring: int = 128,
        on_executed: Callable[[str], None] | None = None,
        keep: int = 1000,
        personality: Personality = MARLIN_2_1,
        card: Card | None = None,
    ) -> None:
        self.who = personality
        self.faults = faults
        self.now = 0.0
        """The time of the last call from outside."""
        self._handlers = handlers
        self.advanced_ok = advanced_ok and personality.advanced_ok
        self.emergency_parser = emergency_parser = emergency_parser and personality.emergency_parser
        self.keepalive_default = KEEPALIVE if keepalive else 0.0
        self.sends_wait = sends_wait
        self.card = card
        self.receiver = Receiver(size=ring, emergency_parser=emergency_parser)
        self.motion = Motion(speed, personality.bed)
        self.hotends = [Heater(rate=5.0, cooling=90.0, maximum=260.0, speed=speed) for _ in range(personality.hotends)]
        self.bed = Heater(rate=1.0, cooling=400.0, maximum=115.0, speed=speed)
        self.chamber = Heater(rate=0.5, cooling=900.0, maximum=70.0, speed=speed) if personality.chamber else None
        self.eeprom = {name: dict(words) for name, words in personality.settings.items()}
        """What M500 has stored: it outlives a reset."""
        self.stored_probing = 0
        self.filament_present = True
        self.executed: deque[bytes] = deque(maxlen=keep)
        self.executed_count = 0
        self._on_executed = on_executed
        self.halted = False
        self._out: list[bytes] = []
        self._held: bytes = b""
        self._held_until = 0.0
        self._queue: deque[Command] = deque()
        self._power_on_values()

    def _power_on_values(self) -> None:
        """Everything that a reset sets back."""
        self.values = {name: dict(words) for name, words in self.eeprom.items()}
        self.tool = 0
        self.fans = [0] * self.who.fans
        self.print_began: float | None = None
        """When the print job timer (M75) was started."""
        self.mesh_slot = -1
        self.probing = self.stored_probing
        """Which of the probings found the mesh in use."""
        self.mesh_active = False
        """Prusa's is lost in a reset."""
        self.cold_extrusion = False
        self.keepalive = self.keepalive_default
        self.debug = 0
        self.prompt_answer: int | None = None
        self.go_on = False
        """M108 was given."""
        self.waiting_for_user = False
        self.payload = b""
        """What the `ok` of the running command says, instead of P and B."""
        self.temperature_every = 0.0
        self.reports_fans = False
        """Prusa's: fan speeds beside the temperatures."""
        self.position_every = 0.0
        self.card_every = 0.0
        self._temperature_at = 0.0
        self._position_at = 0.0
        self._card_at = 0.0
        self._busy_at = 0.0
        self._wait_at = 0.0
        self._running: Iterator[float] | None = None
        self._wake_at = 0.0
        self._boots_until = 0.0

    # -- outside ---------------------------------------------------------------------------------------------------

    def power_on(self, now: float) -> None:
        """Power on or reset: everything is forgotten, the banner is said."""
        self.now = now
        self.halted = False
        self._queue.clear()
        self._out.clear()
        self._held = b""
        self.receiver.reset()
        if self.card is not None:
            self.card.reset()
        self.motion.reset()
        for heater in self.heaters:
            heater.reset(now)
        self._power_on_values()
        self._boots_until = now + BOOT_SECONDS
        self._wait_at = now + 1.0
        for line in reports.BANNER:
            self.say(line)

    @property
    def room(self) -> int:
        """Bytes that may be fed now without loss."""
        return 4096 if self.halted else self.receiver.room

    def feed(self, data: bytes, now: float) -> None:
        """Bytes arrive."""
        self.now = now
        if self.halted:
            return
        if self.faults.damages_input:
            data = self.faults.incoming(data)
        for emergency in self.receiver.feed(data):
            self._emergency(emergency)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Do everything that is due."""
        self.now = now
        if self.halted or now < self._boots_until:
            return
        self._boots_until = 0.0
        self._report(now)
        queue = self._queue
        receiver = self.receiver
        while not self.halted:
            if self._running is not None and not self._resume(now):
                self._collect()
                return
            while len(queue) < BUFSIZE and (command := receiver.read(self._out_lines)) is not None:
                if self._takes(command):
                    queue.append(command)
                if self.halted:
                    return
            self._read_card()
            if not queue:
                self._idle(now)
                return
            self._start(queue[0], now)

    @property
    def _out_lines(self) -> list[bytes]:
        return _Sayer(self) if self.faults.damages_output else self._out

    def take_output(self, now: float) -> bytes:
        """What goes on the wire to the host now."""
        if self._out:
            self._held += b"".join(self._out)
            self._out.clear()
            if self.faults.damages_output and now >= self._held_until:
                self._held_until = now + self.faults.delay()
        if not self._held or now < self._held_until:
            return b""
        held, self._held = self._held, b""
        return held

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None = only when bytes come."""
        times: list[float] = []
        if self._held:
            times.append(self._held_until)
        if self.halted:
            return min(times, default=None)
        if self._boots_until:
            times.append(self._boots_until)
        if self.temperature_every:
            times.append(self._temperature_at)
        if self.card_every:
            times.append(self._card_at)
        if self.position_every:
            times.append(self._position_at)
        if self._running is not None:
            times.append(self._wake_at)
            if self.keepalive:
                times.append(self._busy_at)
        elif self.sends_wait:
            times.append(self._wait_at)
        return min(times, default=None)

    # -- saying ----------------------------------------------------------------------------------------------------

    def say(self, line: bytes) -> None:
        """One reply line, with its newline."""
        if self.faults.damages_output:
            line = self.faults.outgoing(line)
        self._out.append(line)

    def unknown(self, text: bytes) -> None:
        """What is said to a command that the firmware was built without."""
        self.say(b'echo:Unknown command: "%b"\n' % text.rstrip())

    def say_all(self, lines: Iterable[bytes]) -> None:
        """Several reply lines."""
        for line in lines:
            self.say(line)

    @property
    def hotend(self) -> Heater:
        """That of the active tool."""
        return self.hotends[self.tool]

    @property
    def heaters(self) -> list[Heater]:
        return [*self.hotends, self.bed, *([self.chamber] if self.chamber else [])]

    def temperatures(self, now: float) -> bytes:
        """`T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0`, with more hotends `T0:`, `T1:`, `@0:`, `@1:`; `C:` for a chamber."""
        several = len(self.hotends) > 1 or self.who.mesh is MeshKind.PRUSA
        named = [("", self.hotend), ("B", self.bed), *([("C", self.chamber)] if self.chamber else [])]
        hotends = [(str(index), hotend) for index, hotend in enumerate(self.hotends)] if several else []
        parts = [
            f"{name if name.isalpha() else f'T{name}'}:{heater.temperature(now):.2f} /{heater.target:.2f}"
            for name, heater in (*named, *hotends)
        ]
        parts += [f"{name}@:{heater.power(now)}" for name, heater in named]
        if len(self.hotends) > 1:
            parts += [f"@{name}:{heater.power(now)}" for name, heater in hotends]
        parts += [f"{letter}:{degrees:.1f}" for letter, degrees in self.who.extra_sensors]
        return " ".join(parts).encode()

    def say_position(self) -> None:
        """The planned position, as M114 and several commands print it."""
        self.say(self.motion.report(self.values["M92"], in_mm=self.who.mesh is MeshKind.PRUSA))

    def report_temperatures(self, every: float) -> None:
        """M155."""
        self.temperature_every = every
        self._temperature_at = self.now + every

    def report_position(self, every: float) -> None:
        """M154."""
        self.position_every = every
        self._position_at = self.now + every

    def _report(self, now: float) -> None:
        if self.temperature_every and now >= self._temperature_at:
            self._temperature_at = now + self.temperature_every
            self.say(b" %b\n" % self.temperatures(now))
            if self.reports_fans:
                hot = self.hotend.temperature(now) > 50.0
                turns = (4800 * hot, 4500 * self.fans[0] // 255, 255 * hot, self.fans[0])
                self.say(b"E0:%d RPM PRN1:%d RPM E0@:%d PRN1@:%d\n" % turns)
        if self.card_every and now >= self._card_at:
            self._card_at = now + self.card_every
            self.say_progress()
        if self.position_every and now >= self._position_at:
            self._position_at = now + self.position_every
            self.say_position()

    def report_card(self, every: float) -> None:
        """M27 S."""
        self.card_every = every
        self._card_at = self.now + every

    def say_progress(self) -> None:
        """M27."""
        card = self.card
        if card is None or card.selected is None:
            self.say(b"Not SD printing\n")
        else:
            self.say(b"SD printing byte %d/%d\r\n" % (card.position, len(card.selected.data)))

    def _idle(self, now: float) -> None:
        if self.sends_wait and now >= self._wait_at:
            self._wait_at = now + 1.0
            self.say(b"wait\n")

    # -- executing -------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Lines are taken out of the ring while a command runs, as long as the queue has room."""
        while len(self._queue) < BUFSIZE:
            command = self.receiver.read(self._out_lines)
            if command is None:
                return
            if self._takes(command):
                self._queue.append(command)
            if self.halted:
                return

    def _read_card(self) -> None:
        """A print from the card takes the place that the line leaves."""
        card = self.card
        if card is None or card.selected is None:
            return
        while card.printing and len(self._queue) < BUFSIZE:
            line = card.next_line()
            if line is None:
                card.printing = False
            else:
                self._queue.append(Command(line, None, from_card=True))
        if card.at_end and not any(command.from_card for command in self._queue):
            card.selected, card.position, card.at_end = None, 0, False
            self.say(b"Done printing file\n")

    def drop_queue(self) -> None:
        """All commands that wait, and the one that is executed, are forgotten without an answer."""
        self._queue.clear()
        self._running = None

    def _start(self, command: Command, now: float) -> None:
        text = command.text
        if self.card is not None and self.card.writing is not None and text[:3] != b"M29":
            self.card.writing.data += text + b"\r\n"
            self._done(command, now)
            return
        beginning = text[:3]
        if (beginning == b"G1 " or beginning == b"G0 ") and self.motion.free_blocks(now):
            # The bulk of every print, without a detour.
            if self.motion.move(parse_words(text[3:]), now):
                self.check_cold()
            self._count(text, now)
            self._done(command, now)
            return
        name, rest = command_of(text)
        handler = self._handlers.get(name)
        if handler is None:
            self.unknown(text)
            if command.number is not None:
                # Without number and checksum it is the rest of a damaged line.
                self._count(text, now)
            self._done(command, now)
            return
        self._busy_at = now + (self.keepalive or KEEPALIVE)
        running = handler(self, rest)
        if running is None:
            self._count(text, now)
            self._done(command, now)
            return
        self._running = running
        self._wake_at = now

    def _resume(self, now: float) -> bool:
        """Go on with the running command; True when it is done."""
        assert self._running is not None
        while now >= self._wake_at:
            wake_at = next(self._running, None)
            if self.halted:
                return False
            if wake_at is None:
                self._running = None
                command = self._queue[0]
                self._count(command.text, now)
                self._done(command, now)
                return True
            # Never in the past, or a command that waits for nothing would not let the loop go.
            self._wake_at = wake_at
        if self.keepalive and now >= self._busy_at:
            self._busy_at = now + self.keepalive
            self.say(b"echo:busy: paused for user\n" if self.waiting_for_user else b"echo:busy: processing\n")
        return False

    def _count(self, text: bytes, now: float) -> None:
        self.executed_count = count = self.executed_count + 1
        self.executed.append(text)
        if self._on_executed is not None:
            self._on_executed(text.decode(errors="replace"))
        plan = self.faults.plan
        if plan.runaway_at == count:
            self.kill(b"Thermal Runaway, system stopped! Heater_ID: E0", b"THERMAL RUNAWAY")
        elif plan.kill_at == count:
            self.kill(b"", b"Homing Failed")
        elif plan.reset_at == count or (plan.reset and self.faults.random.random() < plan.reset):
            self.power_on(now)

    def _done(self, command: Command, now: float) -> None:
        if not self._queue or self._queue[0] is not command:
            # Killed or reset by what it did.
            return
        queue = self._queue
        if command.from_card:
            self.payload = b""
        elif self.payload:
            self.say(b"ok %b\n" % self.payload)
            self.payload = b""
        elif not self.advanced_ok:
            self.say(b"ok\n")
        elif command.number is not None:
            free = self.motion.free_blocks(now)
            self.say(b"ok N%b P%d B%d\n" % (command.number, free, BUFSIZE - len(queue)))
        else:
            self.say(b"ok P%d B%d\n" % (self.motion.free_blocks(now), BUFSIZE - len(queue)))
        queue.popleft()
        self._wait_at = now + 1.0

    def check_cold(self) -> None:
        """Filament does not move in a cold hotend."""
        if not self.cold_extrusion and self.hotend.temperature(self.now) < 170.0:
            self.say(b"echo: cold extrusion prevented\n")

    # -- emergencies -----------------------------------------------------------------------------------------------

    def _takes(self, command: Command) -> bool:
        """Without emergency parser M112, M108 and M410 act when they are read. False: nothing is left to queue."""
        if not self.emergency_parser and command.text[:4] in (b"M108", b"M112", b"M410"):
            self._emergency(command.text)
        return not self.halted

    def _emergency(self, text: bytes) -> None:
        name, rest = command_of(text)
        if name == "M112":
            self.say(b"echo:M112 Shutdown\n")
            self.kill(b"", b"")
        elif name == "M108":
            self.go_on = True
            self._wake_at = self.now
        elif name == "M410":
            self.motion.stop()
            self._wake_at = self.now
        elif name == "M876":
            answer = parse_words(rest).get("S")
            self.prompt_answer = int(answer) if answer is not None else None
            self._wake_at = self.now

    def set_line(self, number: int) -> None:
        """M110 when it is executed."""
        self.receiver.last_line = number

    def ask_again(self) -> None:
        """M999: asks for the next line."""
        self.receiver.ask_again(self._out_lines)

    def kill(self, error: bytes, status: bytes) -> None:
        """Dead until reset."""
        if error:
            self.say(b"Error:%b\n" % error)
            self.say(b"\n")
        if status:
            self.say(b"echo:%b\n" % status)
        self.say(b"Error:Printer halted. kill() called!\n")
        self.say(b"//action:poweroff\n")
        self.halted = True
        self._running = None
        self._queue.clear()


class _Sayer(list[bytes]):
    """A list that says what is appended to it, for answers of the receiver on a faulty line."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def append(self, line: bytes) -> None:
        self._board.say(line)
