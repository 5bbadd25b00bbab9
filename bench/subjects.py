"""The programs that are measured, and the configurations they get."""

from __future__ import annotations

import sys
from pathlib import Path

# The least that both need.
CONFIG = """\
[server]
host: 127.0.0.1
port: {port}
max_upload_size: 1024
klippy_uds_address: {data}/comms/klippy.sock

[authorization]
trusted_clients:
  127.0.0.0/8

[octoprint_compat]

[history]
"""
# What the configuration had besides when the goals for start and memory were set. Each of these makes Moonraker import
# more; here it is only known and warned of as long as there is no component for it.
FEATURES = """
[machine]
provider: none
validate_service: False

[job_queue]

[analysis]

[notifier bench]
url: json://127.0.0.1:9/
events: *

[power bench]
type: klipper_device
object_name: output_pin caselight
"""
VIRTUAL = "\n[printer]\ntype: virtual\n"
_WITHOUT_UVLOOP = "import sys; sys.modules['uvloop'] = None; from moonraker_lite.__main__ import main; sys.exit(main())"


class Subject:
    """A program to measure: its name in the table, how it is started with a data path, what its configuration has."""

    def __init__(self, name: str, *command: str, config: str = CONFIG) -> None:
        self.name = name
        self.command = command
        self.config = config

    def with_config(self, more: str) -> Subject:
        """The same with more in its configuration."""
        return Subject(self.name, *self.command, config=self.config + more)


def ours(*, uvloop: bool = True) -> Subject:
    """This checkout, run by this interpreter."""
    module = ("-m", "moonraker_lite") if uvloop else ("-c", _WITHOUT_UVLOOP)
    return Subject("moonraker_lite", sys.executable, *module)


def moonraker(python: Path) -> Subject:
    """The Moonraker that is installed beside this interpreter."""
    return Subject("Moonraker", str(python), "-m", "moonraker")
