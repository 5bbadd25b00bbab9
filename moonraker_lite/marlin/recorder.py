"""Makes the checkpoints of a running print: what is needed to go on with it, whatever happens in the next second."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from moonraker_lite.marlin.checkpoint import Checkpoint, CheckpointFile
from moonraker_lite.marlin.print_stats import PrintStats
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.streamer import Streamer

# With the time that the disk needs, no checkpoint is older than a second.
INTERVAL = 0.7


class Recorder:
    """One print after the other."""

    def __init__(self, machine: Machine, streamer: Streamer, stats: PrintStats, checkpoints: CheckpointFile) -> None:
        self._machine = machine
        self._streamer = streamer
        self._stats = stats
        self._checkpoints = checkpoints
        self._size = 0
        self._modified = 0
        # The heaters as the print needs them, while a pause or its end has let them cool.
        self._kept: dict[str, float] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, path: Path, size: int) -> None:
        """A print begins. Until `end` it is recorded by itself."""
        try:
            self._modified = path.stat().st_mtime_ns
        except OSError:
            self._modified = 0  # the print will fail by itself
        self._size = size
        self._kept = None
        self.end()
        self._task = asyncio.create_task(self._record(), name="checkpoints")

    def end(self) -> None:
        """Record no more by itself."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def keep_targets(self) -> None:
        """From now on the heaters are not what the print needs. The first call counts, until `release_targets`."""
        if self._kept is None:
            self._kept = self._targets()

    def release_targets(self) -> None:
        self._kept = None

    def save(self) -> None:
        """Put on record what is now, soon."""
        self._checkpoints.save(self.checkpoint())

    def checkpoint(self) -> Checkpoint:
        machine, streamer, stats = self._machine, self._streamer, self._stats
        motion, file = machine.motion, streamer.file
        x, y, z, e, speed = streamer.place
        return Checkpoint(
            file=stats.filename,
            size=self._size,
            modified=self._modified,
            position=streamer.position,
            line=streamer.line_number,
            state=stats.state.value,
            message=stats.message,
            written=time.time(),
            x=round(x, 4),
            y=round(y, 4),
            z=round(z, 4),
            e=round(e, 5),
            speed=speed,
            absolute=file.absolute,
            absolute_e=file.absolute_e,
            inches=file.inches,
            tool=motion.tool,
            targets=self._targets() if self._kept is None else self._kept,
            fans=dict(motion.fans),
            speed_factor=motion.speed_factor,
            extrude_factor=motion.extrude_factor,
            babystep=round(motion.babystep, 4),
            excluded=machine.excluded.excluded,
            layer=stats.layers.current,
            layers=stats.layers.total,
        )

    def _targets(self) -> dict[str, float]:
        return {name: heater.target for name, heater in self._machine.heaters.items() if heater.target is not None}

    async def _record(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            self.save()
