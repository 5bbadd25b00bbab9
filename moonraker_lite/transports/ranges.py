"""HTTP ranges and conditions of a file, as pure functions (RFC 9110; where Moonraker is looser, its way is kept)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


class Unsatisfiable(Exception):
    """No byte of the file is in the range: 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Give the half-open byte interval [start, end) that a Range header asks for, None for the whole file.

    Several ranges, other units and nonsense are ignored (the whole file is sent), as is a range over everything.

    Raises:
        Unsatisfiable: no byte of the range is in the file.
    """
    match = _RANGE.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if len(first) > 18 or len(last) > 18:
        raise Unsatisfiable
    if first == "":
        if int(last) == 0:
            raise Unsatisfiable
        start, end = max(0, size - int(last)), size
    else:
        start = int(first)
        end = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            raise Unsatisfiable
    if start >= size:
        raise Unsatisfiable
    return None if (start, end) == (0, size) else (start, end)


def not_modified(if_modified_since: str | None, modified: float) -> bool:
    """Whether the client's copy is as new as the file (whole seconds, as the header has no more)."""
    if not if_modified_since:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(if_modified_since).timestamp()
    except (ValueError, TypeError, OverflowError):
        return False
