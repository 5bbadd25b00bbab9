"""`python -m moonraker_lite.marlin`: see `process`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # There is no TLS here, and asyncio's importing it would cost a quarter of this process's memory.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]

    from moonraker_lite.marlin.process import main

    sys.exit(main())
