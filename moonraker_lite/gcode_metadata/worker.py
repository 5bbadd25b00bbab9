"""A process that scans files for somebody else: `python -m moonraker_lite.gcode_metadata.worker`.

One JSON object per line on standard input, one answer per line on standard output, in order:

    {"id": 7, "path": "/data/gcodes/a.gcode", "thumbs_dir": "/data/gcodes/.thumbs"}
    {"id": 7, "metadata": {...}}   or   {"id": 7, "error": "a sentence"}

`thumbs_dir` may be null or missing. A line that is no request is answered with id null. The process ends with its
standard input. Time limit, priority and restarting are the host's business.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from moonraker_lite.gcode_metadata.model import Metadata
from moonraker_lite.gcode_metadata.scanner import scan

MAX_LINE = 64 * 1024
"""Two paths of 4096 bytes each, however they are escaped."""


class Request(msgspec.Struct, frozen=True):
    id: int
    path: str
    thumbs_dir: str | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    id: int | None
    metadata: Metadata | None = None
    error: str | None = None


def answer(line: bytes, decoder: msgspec.json.Decoder[Request]) -> Answer:
    """Serve one request line."""
    try:
        request = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Answer(None, error=f"The request is not understood: {error}")
    try:
        folder = None if request.thumbs_dir is None else Path(request.thumbs_dir)
        return Answer(request.id, scan(request.path, thumbs_dir=folder))
    except OSError as error:
        return Answer(request.id, error=f"The file cannot be read: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the worker's boundary: one file's trouble must not end the others' scans
        return Answer(request.id, error=f"The file could not be scanned: {type(error).__name__}: {error}")


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer until the source ends."""
    encoder = msgspec.json.Encoder()
    decoder = msgspec.json.Decoder(Request)
    while line := source.readline(MAX_LINE):
        if not line.endswith(b"\n") and len(line) == MAX_LINE:
            reply = Answer(None, error=f"A request may have {MAX_LINE} bytes at most.")
            while (rest := source.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
        else:
            reply = answer(line, decoder)
        target.write(encoder.encode(reply) + b"\n")
        target.flush()


def main() -> int:
    # The host decides when the worker ends: Ctrl-C in its terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        # The host is gone. Standard output must not complain once more when the interpreter closes it.
        sys.stdout = None
    return 0


if __name__ == "__main__":
    sys.exit(main())
