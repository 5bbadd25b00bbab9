"""What the commands do, in a line each: `gcode/help`, `gcode.commands` and HELP."""

from __future__ import annotations

HELP: dict[str, str] = {
    "ACTIVATE_EXTRUDER": "Choose the extruder that is used from now on",
    "BED_MESH_CALIBRATE": "Probe the bed and use the new mesh (G29)",
    "BED_MESH_CLEAR": "Switch bed levelling off (M420 S0)",
    "BED_MESH_MAP": "Print the mesh (M420 V)",
    "BED_MESH_OUTPUT": "Print the mesh (M420 V)",
    "BED_MESH_PROFILE": "Use (LOAD) or store (SAVE) the mesh in the printer's EEPROM",
    "CANCEL_PRINT": "Stop the print for good and switch the heaters off",
    "CLEAR_PAUSE": "Forget the pause without resuming",
    "EXCLUDE_OBJECT": "Leave an object out of the rest of the print",
    "EXCLUDE_OBJECT_DEFINE": "Announce an object of the print",
    "EXCLUDE_OBJECT_END": "The moves of the current object end here",
    "EXCLUDE_OBJECT_START": "The moves of an object begin here",
    "FIRMWARE_RESTART": "Reset the printer's board and connect anew",
    "HELP": "List the commands",
    "PAUSE": "Pause the print",
    "PID_CALIBRATE": "Tune a heater (M303)",
    "QUERY_ENDSTOPS": "Tell the state of each endstop (M119)",
    "RESPOND": "Write a message to the console",
    "RESTART": "Start the connection to the printer anew",
    "RESTORE_GCODE_STATE": "Return to saved modes and, with MOVE=1, position",
    "RESUME": "Go on with a paused print",
    "SAVE_CONFIG": "Store the settings in the printer's EEPROM (M500)",
    "SAVE_GCODE_STATE": "Save modes and position under a name",
    "SDCARD_PRINT_FILE": "Print a file of the gcodes folder",
    "SDCARD_RESET_FILE": "Unload the file; a running print is cancelled",
    "SET_DISPLAY_TEXT": "Show a text on the display, or clear it",
    "SET_FAN_SPEED": "Set a fan, 0 to 1 (M106)",
    "SET_GCODE_OFFSET": "Set or adjust the Z offset by babysteps (M290)",
    "SET_HEATER_TEMPERATURE": "Set the target of a heater",
    "SET_IDLE_TIMEOUT": "Set after how many idle seconds the heaters go off",
    "SET_PRESSURE_ADVANCE": "Set linear advance (M900)",
    "SET_PRINT_STATS_INFO": "Tell the current layer and their total",
    "SET_VELOCITY_LIMIT": "Set limits of speed and acceleration (M203, M204, M205)",
    "STATUS": "Tell the state of the printer",
    "TEMPERATURE_WAIT": "Wait for a temperature",
    "TURN_OFF_HEATERS": "Switch all heaters off",
    "Z_OFFSET_APPLY_PROBE": "Make the Z offset part of the probe's offset (M851)",
}

# Traditional commands that any Marlin knows; the frontends complete what is typed with them.
TRADITIONAL = (
    *("G0", "G1", "G2", "G3", "G4", "G20", "G21", "G28", "G29", "G90", "G91", "G92"),
    *("M17", "M18", "M20", "M21", "M23", "M24", "M25", "M26", "M27", "M73", "M82", "M83", "M84"),
    *("M104", "M105", "M106", "M107", "M108", "M109", "M110", "M112", "M114", "M115", "M117", "M118", "M119"),
    *("M140", "M190", "M203", "M204", "M205", "M206", "M211", "M220", "M221", "M290", "M303", "M400", "M410"),
    *("M420", "M500", "M501", "M502", "M503", "M600", "M851", "M876", "M900"),
)


def help_text() -> str:
    """Return the answer to HELP."""
    return "\n".join(["Available extended commands:", *(f"{name:10}: {text}" for name, text in sorted(HELP.items()))])


def command_table(extruders: int, *, probe: bool, mesh: bool) -> dict[str, dict[str, str]]:
    """Return Klipper's `gcode.commands`: frontends show buttons by it, so only what this printer has.

    Tool words only where there is a choice.
    """
    table: dict[str, dict[str, str]] = {name: {} for name in TRADITIONAL}
    if extruders > 1:
        table.update({f"T{index}": {} for index in range(extruders)})
    table["ECHO"] = {}
    for name, text in HELP.items():
        if (mesh or not name.startswith("BED_MESH")) and (probe or not name.endswith("APPLY_PROBE")):
            table[name] = {"help": text}
    return table
