"""moonraker.conf: reading its dialect, typed settings, warnings, the default file.

The names below are imported when they are first asked for: the Marlin process reads its files by `reader` alone, and
the rest would cost it a megabyte.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moonraker_lite.config.default import DEFAULT_CONFIG_TEXT, write_default_config
    from moonraker_lite.config.errors import ConfigError
    from moonraker_lite.config.model import Config, load_config
    from moonraker_lite.config.settings import Port, PrinterSettings, ServerSettings, TemplatePath, TemplateText

__all__ = [
    "DEFAULT_CONFIG_TEXT",
    "Config",
    "ConfigError",
    "Port",
    "PrinterSettings",
    "ServerSettings",
    "TemplatePath",
    "TemplateText",
    "load_config",
    "write_default_config",
]

_MODULES = {
    "DEFAULT_CONFIG_TEXT": "default",
    "write_default_config": "default",
    "ConfigError": "errors",
    "Config": "model",
    "load_config": "model",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'settings')}"), name)
