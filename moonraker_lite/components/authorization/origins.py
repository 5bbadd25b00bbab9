"""Origins of web pages: which may read answers, and which are the host's own."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/\s@?#]+)", re.IGNORECASE)


class Origins:
    """The patterns of `cors_domains`. `*` stands for any characters of a scheme, host or port; a pattern without a
    scheme matches the host (and port) of any."""

    def __init__(self, patterns: Iterable[str]) -> None:
        parts = [_regex(pattern.strip().rstrip("/")) for pattern in patterns if pattern.strip()]
        self._pattern = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def allows(self, origin: str) -> bool:
        """Whether the value of an Origin header matches one of the patterns."""
        return self._pattern is not None and self._pattern.fullmatch(origin.rstrip("/")) is not None


def _regex(pattern: str) -> str:
    if pattern == "*":
        return r".*"
    body = r"[^/@\s]*".join(re.escape(part) for part in pattern.split("*"))
    return body if "://" in pattern else rf"[a-z][a-z0-9+.-]*://{body}"


def is_own(origin: str, host: str | None) -> bool:
    """Whether a page of this origin was served under the name and port that the request itself is addressed to."""
    found = _ORIGIN.fullmatch(origin)
    if found is None or not host:
        return False
    port = {"http": ":80", "https": ":443"}.get(found[1].lower(), "")
    return found[2].lower().removesuffix(port) == host.lower().removesuffix(port)
