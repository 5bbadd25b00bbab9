"""`python -m moonraker_lite.marlin`: see `process`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from moonraker_lite.marlin.late import postpone

    postpone()  # before anything else is imported

    from moonraker_lite.marlin.process import main

    sys.exit(main())
