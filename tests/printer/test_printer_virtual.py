"""The embedded default: a host that starts the virtual Marlin printer by itself, and prints on it."""

from __future__ import annotations

import json
from pathlib import Path

from moonraker_lite.components.printer.process import ProcessKeeper, is_alive
from tests.conftest import MakeHost
from tests.support.api_client import connected


async def test_a_host_with_nothing_configured_prints_on_the_virtual_printer(
    make_host: MakeHost,
) -> None:
    host = await make_host("[printer]\nvirtual_speed: 0\n")
    try:
        async with connected(host.port) as client:
            await client.until(lambda: client.of("notify_klippy_ready"), 20)
            (host.places.data.gcodes / "a.gcode").write_text("G28\nG1 X10 Y10 F6000\nM105\n")
            await client.call("printer.objects.subscribe", objects={"print_stats": None})
            await client.call("printer.print.start", filename="a.gcode")
            await client.until(lambda: '"complete"' in json.dumps(client.of("notify_status_update")), 20)
    finally:
        process = ProcessKeeper(host.places.data.comms / "printer.pid", Path()).running("moonraker_lite.marlin")
        assert process is not None
        await host.stop()
        assert is_alive(process.record.pid)
        await process.terminate()
