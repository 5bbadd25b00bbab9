"""What the commands do, in a line each: `gcode/help`, `gcode.commands` and HELP."""

from __future__ import annotations

HELP: dict[str, str] = {
    "ABORT": "Give a manual Z probe up",
    "ACCEPT": "The nozzle just touches the bed: take this height",
    "ACTIVATE_EXTRUDER": "Choose the extruder that is used from now on",
    "BED_MESH_CALIBRATE": "Probe the bed and use the new mesh (G29)",
    "BED_MESH_CLEAR": "Switch bed levelling off (M420 S0)",
    "BED_MESH_MAP": "Print the mesh (M420 V)",
    "BED_MESH_OUTPUT": "Print the mesh (M420 V)",
    "BED_MESH_PROFILE": "Use (LOAD) or store (SAVE) the mesh in the printer's EEPROM",
    "CANCEL_PRINT": "Stop the print for good and switch the heaters off",
    "CLEAR_PAUSE": "Forget the pause without resuming",
    "DELTA_CALIBRATE": "Calibrate a delta printer by its probe (G33)",
    "DISCARD_INTERRUPTED": "Forget the print that was interrupted",
    "EXCLUDE_OBJECT": "Leave an object out of the rest of the print",
    "EXCLUDE_OBJECT_DEFINE": "Announce an object of the print",
    "EXCLUDE_OBJECT_END": "The moves of the current object end here",
    "EXCLUDE_OBJECT_START": "The moves of an object begin here",
    "FIRMWARE_RESTART": "Reset the printer's board and connect anew",
    "FORCE_MOVE": "Move one motor, whether its axis is homed or not",
    "GET_POSITION": "Tell where the head is (M114)",
    "GET_RETRACTION": "Tell the settings of firmware retraction",
    "HELP": "List the commands",
    "MANUAL_PROBE": "Find by hand where the nozzle touches the bed",
    "PAUSE": "Pause the print",
    "PID_CALIBRATE": "Tune a heater and use the result (M303, M301, M304)",
    "PROBE": "Probe the bed at the place of the head (G30)",
    "PROBE_ACCURACY": "Probe the same place several times and compare",
    "PROBE_CALIBRATE": "Find the probe's Z offset (M851) with paper under the nozzle",
    "QUAD_GANTRY_LEVEL": "Level the gantry (G34)",
    "QUERY_ENDSTOPS": "Tell the state of each endstop (M119)",
    "QUERY_FILAMENT_SENSOR": "Tell whether there is filament (M119)",
    "QUERY_PROBE": "Tell the state of the probe (M119)",
    "RESPOND": "Write a message to the console",
    "RESTART": "Start the connection to the printer anew",
    "RESTORE_GCODE_STATE": "Return to saved modes and, with MOVE=1, position",
    "RESUME": "Go on with a paused print",
    "RESUME_INTERRUPTED": "Print the rest of a print that was interrupted",
    "SAVE_CONFIG": "Store the settings in the printer's EEPROM (M500)",
    "SAVE_GCODE_STATE": "Save modes and position under a name",
    "SAVE_VARIABLE": "Keep a value over restarts",
    "SCREWS_TILT_CALCULATE": "Tell how to turn the bed's screws (G35)",
    "SDCARD_PRINT_FILE": "Print a file of the gcodes folder",
    "SDCARD_RESET_FILE": "Unload the file; a running print is cancelled",
    "SET_DISPLAY_TEXT": "Show a text on the display, or clear it",
    "SET_FAN_SPEED": "Set a fan, 0 to 1 (M106)",
    "SET_FILAMENT_SENSOR": "Switch the filament sensors on or off (M412)",
    "SET_GCODE_OFFSET": "Set or adjust the Z offset by babysteps (M290)",
    "SET_GCODE_VARIABLE": "Set a variable of a macro",
    "SET_HEATER_TEMPERATURE": "Set the target of a heater",
    "SET_IDLE_TIMEOUT": "Set after how many idle seconds the heaters go off",
    "SET_INPUT_SHAPER": "Set input shaping (M593)",
    "SET_KINEMATIC_POSITION": "Take the axes for homed, at this position (G92)",
    "SET_LED": "Set the colour of a light (M150)",
    "SET_PIN": "Set an output, 0 to 1 (M42)",
    "SET_PRESSURE_ADVANCE": "Set linear advance (M900)",
    "SET_PRINT_STATS_INFO": "Tell the current layer and their total",
    "SET_RETRACTION": "Set firmware retraction (M207, M208)",
    "SET_STEPPER_ENABLE": "Switch one motor on or off (M17, M18)",
    "SET_TMC_CURRENT": "Set the current of a motor, in A (M906)",
    "SET_VELOCITY_LIMIT": "Set limits of speed and acceleration (M203, M204, M205)",
    "STATUS": "Tell the state of the printer",
    "TEMPERATURE_WAIT": "Wait for a temperature",
    "TESTZ": "Move the nozzle in a manual Z probe",
    "TURN_OFF_HEATERS": "Switch all heaters off",
    "UPDATE_DELAYED_GCODE": "Run a delayed G-code after so many seconds",
    "Z_ENDSTOP_CALIBRATE": "Find the Z endstop's offset (M206) with paper under the nozzle",
    "Z_OFFSET_APPLY_ENDSTOP": "Make the Z offset part of the home offset (M206)",
    "Z_OFFSET_APPLY_PROBE": "Make the Z offset part of the probe's offset (M851)",
    "Z_TILT_ADJUST": "Level the bed by its Z motors (G34)",
}

# Traditional commands that any Marlin knows; the frontends complete what is typed with them.
TRADITIONAL = (
    *("G0", "G1", "G2", "G3", "G4", "G20", "G21", "G28", "G29", "G90", "G91", "G92"),
    *("M17", "M18", "M20", "M21", "M23", "M24", "M25", "M26", "M27", "M73", "M82", "M83", "M84"),
    *("M104", "M105", "M106", "M107", "M108", "M109", "M110", "M112", "M114", "M115", "M117", "M118", "M119"),
    *("M140", "M190", "M203", "M204", "M205", "M206", "M211", "M220", "M221", "M290", "M303", "M400", "M410"),
    *("M420", "M500", "M501", "M502", "M503", "M600", "M851", "M876", "M900"),
)


# Only where the firmware has a probe.
_PROBING = frozenset({"PROBE", "PROBE_ACCURACY", "PROBE_CALIBRATE", "QUERY_PROBE", "Z_OFFSET_APPLY_PROBE"})
# Frontends have buttons for these, but no firmware tells whether it was built with them: they work when typed.
_UNTOLD = frozenset({"DELTA_CALIBRATE", "QUAD_GANTRY_LEVEL", "SCREWS_TILT_CALCULATE", "Z_TILT_ADJUST"})
# Commands of a manual Z probe; without one they do nothing.
_MANUAL = frozenset({"ABORT", "ACCEPT", "TESTZ"})


def help_text(commands: dict[str, dict[str, str]]) -> str:
    """Return the answer to HELP: those of `gcode.commands` that say what they do."""
    told = sorted((name, entry["help"]) for name, entry in commands.items() if "help" in entry)
    return "\n".join(["Available extended commands:", *(f"{name:10}: {text}" for name, text in told)])


def command_table(extruders: int, *, probe: bool, mesh: bool) -> dict[str, dict[str, str]]:
    """Return Klipper's `gcode.commands`: frontends show buttons by it, so only what this printer has.

    Tool words only where there is a choice.
    """
    table: dict[str, dict[str, str]] = {name: {} for name in TRADITIONAL}
    if extruders > 1:
        table.update({f"T{index}": {} for index in range(extruders)})
    table["ECHO"] = {}
    left_out = {*_UNTOLD, *_MANUAL, *(() if probe else _PROBING)}
    if not mesh:
        left_out.update(name for name in HELP if name.startswith("BED_MESH"))
    table.update({name: {"help": text} for name, text in HELP.items() if name not in left_out})
    return table
