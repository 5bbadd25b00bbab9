"""`python -m moonraker_lite.marlin`: see `process`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Imported by asyncio and msgspec only in case they are needed, which they are not here: no TLS, no old types.
    # Together they would cost a quarter of this process's memory.
    for unneeded in ("ssl", "typing_extensions"):
        sys.modules.setdefault(unneeded, None)  # type: ignore[arg-type]

    from moonraker_lite.marlin.process import main

    sys.exit(main())
