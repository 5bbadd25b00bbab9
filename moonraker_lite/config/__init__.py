"""moonraker.conf: reading its dialect, typed settings, warnings, the default file."""

from __future__ import annotations

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
