"""Which test covers which paragraph of what is known of the line: no paragraph without a test, no test that is gone.

The two documents stand beside the project where it is developed; without them only the names of the tests are checked.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FOLDERS = ("marlin_line", "marlin_host")
SHARED = TESTS.parents[0] / ".." / "shared"

# Beginning of the paragraph -> tests, as `module::test`.
PROTOCOL: dict[str, tuple[str, ...]] = {
    # Lines
    "Printer ends lines with `\\n`": ("test_protocol_cases::test_line_ends_and_empty_lines",),
    "Some report lines begin with a space": ("test_protocol_cases::test_reports_are_no_replies",),
    "A reply has no mark of its own": ("test_protocol_cases::test_each_command_gets_its_own_replies",),
    "UTF-8 and 0x80-0xFF bytes": (
        "test_line_wire::test_what_the_firmware_would_change_is_changed_before",
        "test_line_wire::test_whatever_can_be_sent_is_accepted_by_the_firmware",
        "test_protocol_cases::test_text_that_is_not_utf8",
    ),
    "Longest line: 95 bytes": ("test_line_wire::test_too_long_lines",),
    # ok
    "One `ok` per accepted command": (
        "test_protocol_cases::test_one_ok_one_line",
        "test_line_wire::test_what_cannot_be_sent",
    ),
    "ADVANCED_OK: `ok P15 B3`": (
        "test_protocol_cases::test_advanced_ok_names_its_line",
        "test_protocol_cases::test_advanced_ok_without_number_is_no_lines_ok",
        "test_protocol_cases::test_buffers_are_learnt_from_advanced_ok",
    ),
    "Plain builds: bare `ok`": ("test_line_wire::test_what_a_line_means",),
    "More than one ok for one line": (
        "test_protocol_cases::test_m999_says_one_ok_too_many",
        "test_protocol_cases::test_emergencies_overtake_and_go_without_number",
    ),
    "Fewer ok: M524": ("test_protocol_cases::test_fewer_oks_than_lines",),
    "No prefix tells which ok": ("test_protocol_cases::test_the_answer_to_m105_acknowledges_everything_before_it",),
    # Line numbers, checksums, resend
    "`N<n> <cmd>*<xor": ("test_protocol_cases::test_every_line_is_numbered_and_summed",),
    "`M110 N<n>` (with or without": (
        "test_protocol_cases::test_m110_belongs_to_the_protocol",
        "test_protocol_cases::test_the_handshake_sets_and_proves_the_line_number",
    ),
    "Errors, always three lines": (
        "test_protocol_cases::test_the_ok_after_a_resend_acknowledges_nothing",
        "test_protocol_cases::test_the_resend_line_is_lost",
    ),
    "On an error the receive buffer is emptied": (
        "test_protocol_cases::test_a_burst_whose_third_line_is_damaged",
        "test_protocol_cases::test_lines_still_under_way_ask_for_the_same_line_again",
    ),
    "A line number equal to the last": ("test_protocol_quirks::test_marlin_drops_a_repeated_number_without_a_word",),
    "Two lines run together": ("test_hostile_line::test_nothing_is_lost_repeated_or_reordered",),
    "While M28 writes to SD": ("test_protocol_cases::test_every_line_is_numbered_and_summed",),
    # Buffers and flow
    "Command queue 4, RX ring 128": ("test_hostile_line::test_a_clean_line_is_used_to_the_full",),
    "Full planner: `ok P0": ("test_protocol_cases::test_busy_means_patience",),
    "Overrun at 115200": ("test_protocol_cases::test_an_overrun_is_found_by_asking",),
    "Safe window without knowing more": ("test_protocol_cases::test_never_more_than_the_receive_buffer",),
    "Never fill the window to the brim": ("test_protocol_quirks::test_room_for_an_emergency_is_left",),
    # Boot
    "`NO_TIMEOUTS` builds send `wait`": (
        "test_protocol_quirks::test_wait_between_a_command_and_its_ok",
        "test_protocol_quirks::test_wait_with_something_unanswered_is_asked_about_at_once",
    ),
    # Busy and host actions
    "`echo:busy: processing`, `echo:busy": (
        "test_protocol_cases::test_busy_means_patience",
        "test_protocol_cases::test_waiting_for_the_user_or_for_heat",
        "test_protocol_cases::test_blocking_commands_are_given_time",
    ),
    "`//action:` lines seen": ("test_protocol_cases::test_reports_are_no_replies", "test_replies::test_host_actions"),
    "`M876 S<button index>`": ("test_protocol_cases::test_emergencies_overtake_and_go_without_number",),
    # Emergency, kill, stop
    "M112 with emergency parser": (
        "test_line_driver::test_a_halt_fails_what_waits",
        "test_print_dangers::test_an_emergency_stop_is_repeated_until_the_firmware_has_halted",
    ),
    "Matches only at line start": ("test_protocol_cases::test_emergencies_overtake_and_go_without_number",),
    "After kill: dead until reset": ("test_line_driver::test_a_halt_fails_what_waits",),
    "Thermal: `Error:MINTEMP": ("test_protocol_cases::test_a_halt_in_the_firmwares_own_words",),
    "Homing: `echo:Homing Failed`": ("test_protocol_cases::test_a_halt_in_the_firmwares_own_words",),
    "Any line `Error:` with": (
        "test_protocol_cases::test_a_failed_probe_is_no_halt",
        "test_line_wire::test_what_a_line_means",
    ),
}
PROTOCOL_SECTIONS = ("Lines", "ok", "Line numbers", "Buffers", "Boot", "Busy", "Emergency")

SERIAL: dict[str, tuple[str, ...]] = {
    # 1. Opening the port
    "OP: 8N1, write_timeout 0": (
        "test_link::test_a_port_that_is_in_use",
        "test_link::test_a_printer_that_does_not_read",
        "test_protocol_quirks::test_children_do_not_inherit_the_port",
        "test_ports::test_the_reset_line",
    ),
    "Read timeout is used as the tick": (
        "test_line_wire::test_cutting_the_stream_changes_nothing",
        "test_protocol_cases::test_text_that_is_not_utf8",
    ),
    "PR: sends `M105`, considers": ("test_line_driver::test_a_silent_port",),
    "Handshake OP: state": (
        "test_protocol_cases::test_a_silent_board_is_greeted_again_and_reported",
        "test_protocol_cases::test_a_board_that_resets_on_opening_is_greeted_after_its_banner",
        "test_protocol_cases::test_a_hello_that_was_not_heard",
    ),
    'After "connected"': ("test_scripts::test_a_board_reset_while_idle_is_asked_again_and_stays_ready",),
    "Checksums are sent": ("test_protocol_cases::test_every_line_is_numbered_and_summed",),
    # 2. Baud/port detection
    "Ports: `/dev/ttyUSB*": (
        "test_ports::test_who_may_be_asked_and_in_which_order",
        "test_ports::test_auto_finds_the_printer_among_the_ports",
    ),
    "Bauds by likelihood": ("test_ports::test_the_speed_is_found_out", "test_ports::test_a_speed_is_remembered"),
    "Per candidate up to 3 handshakes": (
        "test_ports::test_any_word_proves_the_speed",
        "test_ports::test_noise_proves_nothing",
    ),
    "250000 (and 500000": ("test_link::test_bytes_go_both_ways",),
    "States shown": ("test_scripts::test_before_the_printer_is_there",),
    # 3. Line numbers, checksums, acknowledgement
    "`N<n> <cmd>*<xor of all": ("test_line_wire::test_checksum_is_the_xor_of_all_bytes",),
    "History: OP keeps": ("test_protocol_cases::test_a_request_for_a_line_no_longer_kept_is_noise",),
    "**One `ok` = permission": (
        "test_protocol_cases::test_one_line_at_a_time_where_nothing_is_known",
        "test_hostile_line::test_a_clean_line_is_used_to_the_full",
    ),
    "An `ok` line may carry data": ("test_line_wire::test_what_a_line_means",),
    "Commands that are not recognised": ("test_protocol_cases::test_every_line_is_numbered_and_summed",),
    "Empty/comment-only lines": ("test_line_wire::test_what_cannot_be_sent",),
    "Priority: command queue": ("test_print_job::test_scripts_are_interleaved_between_lines_and_as_a_whole",),
    "Temperature poll `M105`": ("test_scripts::test_temperatures_are_asked_for_where_they_do_not_come",),
    # 4. Resend handling
    "Forms to parse": ("test_protocol_cases::test_every_form_of_request", "test_line_wire::test_first_number"),
    "Normal order is": ("test_protocol_cases::test_the_ok_after_a_resend_acknowledges_nothing",),
    "Some firmware (older Prusa": ("test_protocol_cases::test_a_resend_without_ok",),
    "Delta = current": (
        "test_protocol_cases::test_a_request_for_a_line_no_longer_kept_is_noise",
        "test_protocol_cases::test_a_request_for_a_line_in_the_future_is_noise_once",
        "test_protocol_cases::test_a_firmware_that_counts_other_lines",
    ),
    "Then the lines requested": ("test_protocol_cases::test_a_burst_whose_third_line_is_damaged",),
    "Request for a line not yet sent": ("test_protocol_cases::test_a_request_for_the_line_to_come",),
    "**Duplicate requests**": (
        "test_protocol_cases::test_lines_still_under_way_ask_for_the_same_line_again",
        "test_protocol_cases::test_the_repeated_line_is_damaged_too",
    ),
    "10 consecutive requests": (
        "test_protocol_cases::test_a_storm_slows_down_and_is_told_once",
        "test_protocol_cases::test_a_storm_of_hours_changes_nothing",
        "test_bad_line::test_a_hopeless_line_shows_as_paused",
    ),
    "Ratio: > 10 %": (
        "test_protocol_cases::test_many_repeats_in_few_lines_are_told",
        "test_bad_line::test_a_bad_line_pauses_the_print",
    ),
    "Errors that carry **no** Resend": ("test_protocol_quirks::test_a_swallowed_line_is_asked_for_by_the_next",),
    "Communication timeout in the middle": ("test_protocol_cases::test_a_damaged_request_cannot_lose_a_line",),
    "PR: sets resendfrom": ("test_hostile_line::test_a_line_that_is_hopeless_is_told_and_not_hammered",),
    # 5. Lost oks and timeouts
    "Two timeout kinds": (
        "test_protocol_cases::test_automatic_reports_are_no_sign_of_execution",
        "test_protocol_cases::test_a_lost_ok_costs_less_than_two_seconds",
    ),
    "Long runners": ("test_line_wire::test_patience", "test_firmware::test_a_firmwares_own_long_commands_get_time"),
    "Reaction while printing": (
        "test_protocol_cases::test_questions_become_rare_and_silence_is_told",
        "test_hostile_line::test_a_lost_ok_costs_at_most_two_seconds",
    ),
    "Timeout = max": ("test_line_wire::test_the_timeout_adapts_and_stays_in_bounds",),
    "A line starting with `echo:busy:`": ("test_protocol_cases::test_busy_means_patience",),
    '"Fake ack" from the UI': ("test_protocol_cases::test_fewer_oks_than_lines",),
    # 6. Resets, halts, errors
    "`start` **exactly**": (
        "test_protocol_cases::test_start_in_the_echo_of_a_command_is_no_reset",
        "test_protocol_cases::test_a_reset_lists_what_was_not_acknowledged",
        "test_protocol_cases::test_a_reset_whose_banner_was_lost",
    ),
    "`Error:` / `!!`": ("test_protocol_quirks::test_words_of_other_firmwares",),
    "`Error:1\\n: Extruder": (
        "test_protocol_quirks::test_an_error_that_is_broken_behind_its_number",
        "test_protocol_quirks::test_an_error_that_is_but_a_number",
    ),
    "`Heating failed`, `Thermal": ("test_protocol_cases::test_a_halt_in_the_firmwares_own_words",),
    "Recoverable w/o action": ("test_print_job::test_resend_errors_are_the_protocols_business",),
    "Everything else:": ("test_print_job::test_an_error_of_the_firmware_ends_the_print",),
    '"ignore errors" mode': ("test_protocol_cases::test_a_failed_probe_is_no_halt",),
    "M112 from the API": ("test_print_job::test_m112_mid_print",),
    "Serial read/write exception": ("test_link::test_unplugging_is_told_once",),
    "On every disconnect while printing": ("test_link_lost::test_the_print_goes_on",),
    "`GET /api/printer/error`": ("test_print_job::test_a_halt_mid_print",),
}
SERIAL_SECTIONS = ("1.", "2.", "3.", "4.", "5.", "6.")


@cache
def functions_of(module: str) -> frozenset[str]:
    """The test functions of a module."""
    (path,) = (path for folder in FOLDERS if (path := TESTS / folder / f"{module}.py").is_file())
    nodes = ast.parse(path.read_text("utf-8")).body
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("name", sorted({name for tests in (*PROTOCOL.values(), *SERIAL.values()) for name in tests}))
def test_the_test_exists(name: str) -> None:
    module, _, function = name.partition("::")
    assert function in functions_of(module)


@pytest.mark.parametrize(
    ("document", "sections", "covered"),
    [("marlin/PROTOCOL.md", PROTOCOL_SECTIONS, PROTOCOL), ("octoprint/SERIAL.md", SERIAL_SECTIONS, SERIAL)],
    ids=["protocol", "serial"],
)
def test_every_paragraph_is_covered(
    document: str, sections: tuple[str, ...], covered: dict[str, tuple[str, ...]]
) -> None:
    path = SHARED / document
    if not path.is_file():
        pytest.skip(f"{document} does not stand beside the project")
    found = paragraphs(path.read_text("utf-8"), sections)
    missing = [text[:60] for text in found if not any(text.startswith(beginning) for beginning in covered)]
    gone = [beginning for beginning in covered if not any(text.startswith(beginning) for text in found)]
    assert not missing
    assert not gone


def paragraphs(text: str, sections: tuple[str, ...]) -> list[str]:
    """The items of the lists in these sections."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("## "):
            inside = line[3:].startswith(sections)
        elif inside and line.lstrip()[:2] in ("- ", "* "):
            found.append(line.lstrip()[2:])
    return found
