"""Compare this server's answers with the recordings of a real Moonraker, scenario by scenario.

    python tests/conformance/run.py [--material DIR] [--out DIR] [--verbose] [scenario ...]

Starts the fake Klipper and the host as processes of their own, drives them with the recorder of the material, and
judges the result with its compare.py and the stated deviations beside this file. Without the material (it is not part
of the project) it says so and exits 0.

The recordings to compare with are those of the material and, where it has none of a scenario, those in the folder
`recorded`. They were made with this program too, with a real Moonraker in the place of this server:

    python tests/conformance/run.py --record --server "/path/to/venv/bin/python -m moonraker" --out DIR 06 09 14
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.rig import PROJECT, Rig
from tests.conformance.stated import compare, reference, tidy

# Each group has a machine of its own, and both are recorded at the same time: most of it is waiting. A scenario in
# brackets only makes files that later ones expect.
GROUPS = (("01", "02", "03", "04", "05", "06", "14"), ("(03)", "07", "08", "09", "15"))
RECORDING_SECONDS = 1800


def record(material: Path, server: Sequence[str], folder: Path, out: Path, scenarios: Sequence[str]) -> None:
    """Record scenarios ("03") in their order on a new machine."""
    rig = Rig(folder)
    scratch = folder / "unused"
    scratch.mkdir()
    with rig.running(server, out / f"server_{scenarios[0].strip('()')}.log"):
        for scenario in scenarios:
            rig.prepare(scenario)
            number = scenario.strip("()")
            target = scratch if scenario.startswith("(") else out
            command = [sys.executable, str(material / "recorder.py"), "--base", rig.base, "--data", str(rig.data)]
            command += ["--rig", str(rig.folder), "--out", str(target), f"s{number}"]
            subprocess.run(command, cwd=folder, check=True, env=os.environ | {"TZ": "UTC"}, timeout=RECORDING_SECONDS)


def groups(scenarios: Sequence[str]) -> list[tuple[str, ...]]:
    """Which scenarios are recorded together. What is in no group, or asked for alone, comes after 03."""
    if not scenarios:
        return list(GROUPS)
    needs_files = scenarios[0] not in ("01", "02", "03")
    return [("(03)", *scenarios) if needs_files else tuple(scenarios)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, default=PROJECT.parent / "shared", help="folder of the recordings")
    parser.add_argument("--out", type=Path, help="keep the recordings here")
    parser.add_argument("--server", default=f"{shlex.quote(sys.executable)} -m moonraker_lite", help="what to record")
    parser.add_argument("--record", action="store_true", help="only record, and tidy the recordings")
    parser.add_argument("--verbose", action="store_true", help="show differing values, too")
    parser.add_argument("scenario", nargs="*", help="for example 03 (default: all that are judged)")
    args = parser.parse_args()
    tools = args.material / "conformance"
    if not (tools / "recorder.py").is_file():
        print(f"conformance: no recordings at {args.material}; nothing was compared")
        return 0
    work = Path(tempfile.mkdtemp(prefix="conformance-"))
    out = (args.out or work / "out").resolve()
    out.mkdir(parents=True, exist_ok=True)
    server = shlex.split(args.server)
    try:
        parts = groups([name.removeprefix("s") for name in args.scenario])
        with ThreadPoolExecutor(len(parts)) as pool:
            jobs = []
            for number, part in enumerate(parts):
                folder = work / f"rig{number}"
                jobs.append(pool.submit(record, tools, server, folder, out, part))
            for job in jobs:
                job.result()
        if args.record:
            tidy(out)
            return 0
        done = sorted(name for part in parts for name in part if not name.startswith("("))
        folder = reference(args.material / "golden" / "moonraker", work / "reference")
        return compare(tools / "compare.py", folder, out, done, verbose=args.verbose)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
