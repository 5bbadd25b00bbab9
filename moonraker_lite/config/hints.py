"""What Moonraker's own configuration may hold that this program takes no notice of, so that the warning can say so."""

from __future__ import annotations

MOONRAKER_SECTIONS = frozenset(
    {
        "analysis",
        "announcements",
        "authorization",
        "button",
        "data_store",
        "database",
        "extensions",
        "file_manager",
        "history",
        "job_queue",
        "ldap",
        "machine",
        "mqtt",
        "notifier",
        "octoprint_compat",
        "paneldue",
        "power",
        "sensor",
        "simplyprint",
        "spoolman",
        "timelapse",
        "update_manager",
        "webcam",
        "wled",
        "zeroconf",
    }
)

MARLIN_SECTIONS = ("gcode_macro", "delayed_gcode", "output_pin", "led", "neopixel", "dotstar")
"""What the Marlin process reads of this file, see `marlin.printer_config`."""

BUILT_IN_SECTIONS = ("server", "printer", "secrets", *MARLIN_SECTIONS)

MOVED_OPTIONS: dict[tuple[str, str], str] = {
    ("server", "config_path"): "is no longer used; the folder is <data path>/config (option -d)",
    ("server", "log_path"): "is no longer used; the folder is <data path>/logs (option -d)",
    ("server", "database_path"): "is no longer used; the folder is <data path>/database (option -d)",
    ("server", "temperature_store_size"): "belongs into [data_store]",
    ("server", "gcode_store_size"): "belongs into [data_store]",
    ("file_manager", "config_path"): "is no longer used; the folder is <data path>/config (option -d)",
    ("file_manager", "log_path"): "is no longer used; the folder is <data path>/logs (option -d)",
    ("database", "database_path"): "is no longer used; the folder is <data path>/database (option -d)",
    ("authorization", "enabled"): "is no longer used; without [authorization] the defaults apply",
}


def unknown_section(name: str) -> str:
    """The end of the warning about a section that nothing takes."""
    if name.partition(" ")[0] in MOONRAKER_SECTIONS:
        return "Moonraker has this section, moonraker_lite does not support it yet; it is ignored"
    return "unknown section; it is ignored"


def unknown_option(section: str, option: str, known: set[str]) -> str:
    """The end of the warning about an option that nothing takes, with the nearest known name if there is one."""
    moved = MOVED_OPTIONS.get((section.partition(" ")[0], option))
    if moved:
        return f"the option {moved}"
    from difflib import get_close_matches  # only for a file with a slip in it

    near = get_close_matches(option, known, 1, 0.75)
    return f"unknown option; it is ignored{f' (did you mean {near[0]}?)' if near else ''}"
