"""Modules that are loaded only when they are needed."""

from __future__ import annotations

import subprocess
import sys

from moonraker_lite.marlin.late import POSTPONED

SCRIPT = """
import sys
from moonraker_lite.marlin.late import POSTPONED, Postponed, postpone
postpone()
import asyncio
import moonraker_lite.marlin.process
waiting = sorted(name for name in POSTPONED if isinstance(sys.modules[name], Postponed))
print(*waiting)
print("shutil" in sys.modules, "lzma" in sys.modules, "jinja2" in sys.modules)
import inspect, subprocess, ipaddress
print(inspect.isfunction(postpone), asyncio.subprocess.PIPE == subprocess.PIPE, ipaddress.ip_address("::1").version)
print(type(sys.modules["inspect"]).__name__, subprocess.run(["true"]).returncode)
async def main():
    process = await asyncio.create_subprocess_exec("echo", "hello", stdout=subprocess.PIPE)
    print((await process.communicate())[0].decode().strip())
asyncio.run(main())
"""


def test_they_wait_until_somebody_asks() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    waiting, loaded, used, real, echoed = done.stdout.splitlines()
    assert waiting.split() == sorted(POSTPONED)
    assert loaded == "False False False"
    assert used == "True True 6"
    assert real == "module 0"
    assert echoed == "hello"
