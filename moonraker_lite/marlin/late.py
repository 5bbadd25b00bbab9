"""Modules that the standard library imports in case it needs them, and that this process hardly ever does.

They would cost a third of its memory. Each is replaced by an empty module of its name, which becomes the real one with
the first attribute that anybody asks it for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

POSTPONED: dict[str, dict[str, object]] = {
    # asyncio looks into functions in debug mode, and when a signal handler is added.
    "inspect": {},
    # asyncio has these three as default values; no process is started here.
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    # urllib.parse, which pathlib imports, checks addresses in brackets.
    "ipaddress": {},
    # linecache, which traceback imports, reads source files.
    "tokenize": {},
    "msgspec.inspect": {},
    "msgspec.msgpack": {},
    "msgspec.toml": {},
    "msgspec.yaml": {},
}
"""By name, and the attributes that do not call for the real one."""


class Postponed(ModuleType):
    """Stands for a module until it is needed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # import itself looks at these
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


# asyncio and msgspec import these only in case they are there: no TLS here, and no old types.
UNNEEDED = ("ssl", "typing_extensions")


def postpone() -> None:
    """Put the stand-ins in place of what has not been imported yet."""
    # OpenSSL's hashes: Jinja2 wants one for a cache that macros do not use, and Python has its own.
    hashes = ("_hashlib",) if find_spec("_sha1") is not None else ()
    for name in (*UNNEEDED, *hashes):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    for name, attributes in POSTPONED.items():
        if name not in sys.modules:
            module = Postponed(name)
            module.__dict__.update(attributes)
            sys.modules[name] = module
