"""A print that a power cut, a reset or a crash has interrupted: what is left of it is offered, and printed on request.

    RESUME_INTERRUPTED [Z=<mm>] [LIFT=<mm>] [PRIME=<mm>]    write the file for the rest, and print it
    DISCARD_INTERRUPTED                                     forget it

Nothing here moves the printer before the user has asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from moonraker_lite.marlin import resume_file
from moonraker_lite.marlin.checkpoint import Checkpoint, CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.motion import Z
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.replay import replay, same_place
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.gcode_folder import resolve
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.resume_file import ResumeOptions
from moonraker_lite.marlin.state import Machine

_LOGGER = logging.getLogger(__name__)

Handler = Callable[[Command], Awaitable[None]]

# A printer whose Z is 0, or that far from the print, when the session with it begins, has been switched off or reset.
_ORIGIN = 0.005
_FAR = 30.0


class InterruptedPrint:
    """What the last print has left behind. `table` has its commands."""

    def __init__(
        self, machine: Machine, console: Console, job: PrintJob, checkpoints: CheckpointFile, offer: Checkpoint | None
    ) -> None:
        """`offer`: the checkpoint that was found at the start of the process."""
        self._machine = machine
        self._console = console
        self._job = job
        self._checkpoints = checkpoints
        self._offer = offer
        # Where the firmware believed the nozzle to be when the session with it began.
        self._first_z = 0.0
        job.on_interrupted = self._propose
        self.table: dict[str, Handler] = {
            "DISCARD_INTERRUPTED": self._discard,
            "RESUME_INTERRUPTED": self._resume,
        }
        if offer is not None:
            job.stats.message = self.sentence(offer)

    @staticmethod
    def sentence(point: Checkpoint) -> str:
        return (
            f"The print of {point.file} was interrupted at {point.percent} %, Z {point.z:g} mm: "
            "RESUME_INTERRUPTED prints the rest"
        )

    def session_begun(self) -> None:
        """The firmware has told where it believes to be, and nothing has moved since."""
        self._first_z = self._machine.motion.position[Z]

    def _propose(self, point: Checkpoint) -> None:
        self._offer = point
        for line in self.offer()[1:]:
            self._console.raw(line)

    def offer(self) -> list[str]:
        """Return the console lines that offer to go on, nothing when there is nothing to offer."""
        point = self._offer
        if point is None or (self._job.running and not self._job.interrupted):
            return []
        return [
            f"// {self.sentence(point)}",
            "// action:prompt_begin Interrupted print",
            f"// action:prompt_text {self.sentence(point)}.",
            "// action:prompt_text The heaters are switched on, X and Y are homed, and the nozzle goes back to where "
            "it was. If Z has moved since, or the print has come off the bed, it will fail or do harm.",
            "// action:prompt_button Print the rest|RESUME_INTERRUPTED|primary",
            "// action:prompt_button Discard|DISCARD_INTERRUPTED|error",
            "// action:prompt_show",
        ]

    async def _discard(self, _: Command) -> None:
        self._console.raw("// action:prompt_end")
        if self._offer is None and self._checkpoints.load() is None:
            raise CommandError("There is no interrupted print")
        await self._job.give_up()
        self._offer = None
        if not self._job.running:
            self._job.stats.message = ""
            await self._checkpoints.remove()

    async def _resume(self, command: Command) -> None:
        job = self._job
        if job.printing or (job.running and not job.interrupted):
            raise CommandError("SD busy")
        self._console.raw("// action:prompt_end")
        await self._checkpoints.flush()
        point = await asyncio.to_thread(self._checkpoints.load)
        if point is None:
            raise CommandError("There is no interrupted print")
        source = self._source(point)
        options = self._options(Options(command), point)
        self._console.info(f"Preparing the rest of {point.file}, from byte {point.position} of {point.size}")
        name = await asyncio.to_thread(self._write, source, point, options)
        await job.give_up()
        self._offer = None
        await job.unload()
        job.select(name)
        job.start(whole=False)

    def _source(self, point: Checkpoint) -> Path:
        path = resolve(self._job.gcodes, point.file)
        if path is None:
            raise CommandError(f"{point.file} is not there any more: the rest of it cannot be printed")
        status = path.stat()
        if status.st_size != point.size or (point.modified and status.st_mtime_ns != point.modified):
            raise CommandError(f"{point.file} was changed after its print was interrupted: nobody knows what is left")
        return path

    def _options(self, options: Options, point: Checkpoint) -> ResumeOptions:
        machine = self._machine
        told = "Z" in options
        alive = self._first_z > _ORIGIN and abs(self._first_z - point.z) < _FAR
        if machine.settings.kinematics == "delta":
            raise CommandError("A delta printer cannot home X and Y without Z: the rest cannot be printed")
        return ResumeOptions(
            z=options.number("Z") if told else None,
            z_now=0.0 if told else machine.motion.position[Z],
            # Where the user says how high the nozzle is, the printer does not know better.
            knows_z=not told and (alive or "z" in machine.motion.homed),
            lift=options.number("LIFT", 5.0, minimum=0.0),
            prime=options.number("PRIME", 10.0, minimum=0.0),
            has_mesh=machine.firmware.has_levelling and bool(machine.mesh.points),
        )

    def _write(self, source: Path, point: Checkpoint, options: ResumeOptions) -> str:
        """In a thread: write the file; return its name relative to the gcodes directory."""
        machine = self._machine
        heaters = [name for name, heater in machine.heaters.items() if heater.target is not None]
        g90 = machine.motion.g90_sets_extruder
        state = replay(source, point.position, machine.settings, heaters, g90_sets_extruder=g90)
        if not same_place(state, point.e, point.z):
            _LOGGER.warning("The checkpoint and the file disagree about the place: %s", point)
        name = resume_file.file_name(point.file)
        try:
            lines = resume_file.opening(point, state, options)
            resume_file.write(source, self._job.gcodes / name, lines, point.position)
        except OSError as error:
            raise CommandError(f"{name} cannot be written: {error.strerror}") from None
        return name
