"""`[gcode_macro]` and `[delayed_gcode]` on a printer: what runs, what is shown, what is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin import activity
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode import templates
from moonraker_lite.marlin.gcode.macros import Macros
from moonraker_lite.marlin.owner import MacroActions
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient

# In the style of the macros that most users of the web interfaces have.
CLIENT_MACROS = """
[gcode_macro _CLIENT_VARIABLE]
variable_retract: 1.0
variable_park: {'x': 5.0, 'y': 190.0, 'dz': 2.0}
variable_runout_sensor: ""
gcode:

[gcode_macro PAUSE]
description: Pause the print and park
rename_existing: PAUSE_BASE
gcode:
  {% set client = printer['gcode_macro _CLIENT_VARIABLE']|default({}) %}
  SET_GCODE_VARIABLE MACRO=RESUME VARIABLE=nozzle VALUE="{printer[printer.toolhead.extruder].target}"
  PAUSE_BASE
  _PARK {rawparams}

[gcode_macro _PARK]
gcode:
  {% set client = printer['gcode_macro _CLIENT_VARIABLE'] %}
  {% set z = [printer.toolhead.position.z + client.park.dz, printer.toolhead.axis_maximum.z]|min %}
  {% set x = params.X|default(client.park.x)|float %}
  {% if "xyz" in printer.toolhead.homed_axes %}
    {% if printer.extruder.can_extrude|lower == 'true' %}
      M83
      G1 E-{client.retract} F2100
      {% if printer.gcode_move.absolute_extrude %} M82 {% endif %}
    {% endif %}
    G90
    G1 Z{z} F900
    G1 X{x} Y{client.park.y} F6000
    {% if not printer.gcode_move.absolute_coordinates %} G91 {% endif %}
  {% else %}
    RESPOND TYPE=error MSG='Printer not homed'
  {% endif %}

[gcode_macro RESUME]
description: Resume the print
rename_existing: RESUME_BASE
variable_nozzle: 0
gcode:
  {% if printer.pause_resume.is_paused %}
    M109 S{nozzle}
    RESUME_BASE {rawparams}
  {% else %}
    {action_respond_info("nothing is paused")}
  {% endif %}

[gcode_macro CANCEL_PRINT]
description: Cancel the print and park
rename_existing: CANCEL_PRINT_BASE
gcode:
  {% if printer.pause_resume.is_paused %} CLEAR_PAUSE {% endif %}
  CANCEL_PRINT_BASE
  _PARK X=1
  M84
"""

MACROS = """
[gcode_macro HELLO]
description: Greets
variable_count: 1
variable_names: ['a', "b"]
gcode:
    {% set who = params.WHO|default("world") %}
    M118 hello {who} {count} {names|length} [{rawparams}]

[gcode_macro Square]
gcode:
    {% for x, y in [(10, 0), (10, 10), (0, 10), (0, 0)] %}
      G1 X{x} Y{y} F{params.F|default(3000)|int}
    {% endfor %}

[gcode_macro OUTER]
gcode:
    HELLO WHO=one
    HELLO WHO="two words"

[gcode_macro SELF]
gcode: LOOP

[gcode_macro LOOP]
gcode: SELF

[gcode_macro M109]
rename_existing: M9109
gcode:
    M118 heating to {params.S}
    M9109 S{params.S|int + 5}

[gcode_macro G29]
gcode:
    M118 no mesh

[gcode_macro WRONG]
gcode: { printer.nothing.at_all }

[gcode_macro RAISE]
gcode:
    M118 before
    {action_respond_info("info\\nof two lines")}
    {action_raise_error("out of coffee")}

[gcode_macro STOP]
gcode: {action_emergency_stop("fire")}

[gcode_macro CALL]
gcode: {action_call_remote_method("beep", frequency=300, times=[1, 2])}

[gcode_macro ASK]
gcode:
    RESPOND TYPE=command MSG="action:prompt_begin Title"
    RESPOND TYPE=command MSG="action:prompt_button Yes|HELLO|primary"
    RESPOND TYPE=command MSG="action:prompt_show"

[delayed_gcode LATER]
gcode:
    M118 later { printer['gcode_macro HELLO'].count }
"""


async def ready(make_rig: MakeRig, config: str = MACROS) -> tuple[Rig, RawClient]:
    rig = await make_rig(config=config)
    return rig, await rig.ready_client()


def error(answer: dict[str, dict[str, str]]) -> str:
    return answer["error"]["message"]


async def test_parameters_and_variables(make_rig: MakeRig) -> None:
    _rig, client = await ready(make_rig)
    await client.script('hello who=Anna X="a b"\nHELLO')
    assert client.output == ['echo: hello Anna 1 2 [who=Anna X="a b"]', "echo: hello world 1 2 []"]
    await client.script("SET_GCODE_VARIABLE MACRO=HELLO VARIABLE=count VALUE=\"[1, 'x']\"\nHELLO WHO=b")
    assert client.output[-1] == "echo: hello b [1, 'x'] 2 [WHO=b]"
    assert (await client.status("gcode_macro HELLO")) == {"count": [1, "x"], "names": ["a", "b"]}
    assert "Unknown gcode_macro variable 'z'" in error(
        await client.script("SET_GCODE_VARIABLE MACRO=HELLO VARIABLE=z VALUE=1")
    )
    assert "not valid for MACRO" in error(await client.script("SET_GCODE_VARIABLE MACRO=NO VARIABLE=z VALUE=1"))
    assert "Unable to parse 'x y' as a literal" in error(
        await client.script("SET_GCODE_VARIABLE MACRO=HELLO VARIABLE=count VALUE='x y'")
    )


async def test_lines_go_to_the_firmware(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig)
    await client.script("G28")
    mark = len(rig.line.sent)
    await client.script("SQUARE F=1200")
    assert rig.line.sent[mark:] == [f"G1 X{x} Y{y} F1200" for x, y in ((10, 0), (10, 10), (0, 10), (0, 0))]
    assert "out of range" in error(await client.script("G90\nG1 X190\nG91\nSQUARE"))


async def test_nested_macros_and_recursion(make_rig: MakeRig) -> None:
    _rig, client = await ready(make_rig)
    await client.script("OUTER")
    assert client.output == ["echo: hello one 1 2 [WHO=one]", 'echo: hello two words 1 2 [WHO="two words"]']
    assert error(await client.script("SELF")) == "Macro SELF called recursively"
    assert client.output[-1] == "!! Macro SELF called recursively"


async def test_firmware_commands_can_be_overridden_and_renamed(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig)
    mark = len(rig.line.sent)
    await client.script("M109 S200\nM9109 S50\nG29")
    assert rig.line.sent[mark:] == ["M109 S205", "M109 S50"]
    rig.write("a.gcode", "M109 S200", "G29", "G1 X1", "M9109 S7", "HELLO WHO=file")
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark:] == ["M109 S205", "G1 X1", "M109 S7"]
    assert client.output[-2:] == ["echo: hello file 1 2 [WHO=file]", "Done printing file"]


async def test_errors_of_macros(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig)
    expected = "Error evaluating 'gcode_macro WRONG:gcode': jinja2.exceptions.UndefinedError: "
    assert error(await client.script("WRONG")).startswith(expected)
    assert error(await client.script("RAISE")) == "out of coffee"
    assert client.output[-2:] == ["// info\n// of two lines", "!! out of coffee"]
    assert error(await client.script("CALL")) == "Remote Method 'beep' not registered"
    assert (await client.result("info"))["state"] == "ready"
    await client.script("STOP")
    assert rig.line.emergencies[-1] == "M112"
    assert "Shutdown due to fire" in (await client.result("info"))["state_message"]


async def test_a_macro_that_never_ends_is_stopped_and_holds_up_nobody(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MAX_STEPS", 20_000)
    config = (
        "[gcode_macro EVER]\ngcode:\n  {% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}\n"
    )
    _rig, client = await ready(make_rig, config)
    answer = asyncio.create_task(client.script("EVER"))
    assert (await client.result("info"))["state"] == "ready"
    assert "more than 20000 rounds" in error(await answer)


async def test_a_client_offers_a_method_to_macros(make_rig: MakeRig) -> None:
    _rig, client = await ready(make_rig)
    template = {"action": "do_beep"}
    await client.result("register_remote_method", remote_method="beep", response_template=template)
    assert "result" in await client.script("CALL")
    assert client.received[-2] == {"params": {"frequency": 300, "times": [1, 2]}, "action": "do_beep"}


async def test_prompts_of_macros_pass_through(make_rig: MakeRig) -> None:
    _rig, client = await ready(make_rig)
    await client.script("ASK")
    assert client.output == [
        "// action:prompt_begin Title",
        "// action:prompt_button Yes|HELLO|primary",
        "// action:prompt_show",
    ]


async def test_frontends_see_the_macros(make_rig: MakeRig) -> None:
    _rig, client = await ready(make_rig, MACROS + CLIENT_MACROS)
    names = (await client.result("objects/list"))["objects"]
    assert {"gcode_macro HELLO", "gcode_macro Square", "gcode_macro PAUSE"} <= set(names)
    assert len(names) == len(set(names))
    commands = (await client.status("gcode"))["commands"]
    assert commands["HELLO"] == {"help": "Greets"}
    assert commands["SQUARE"] == {"help": "G-Code macro"}
    assert "PAUSE_BASE" in commands
    configfile = await client.status("configfile")
    assert configfile["config"]["gcode_macro HELLO"]["variable_count"] == "1"
    assert configfile["settings"]["gcode_macro hello"]["variable_names"] == ["a", "b"]
    assert configfile["settings"]["gcode_macro pause"]["description"] == "Pause the print and park"
    assert sorted(name for name in configfile["config"] if name.lower() == "gcode_macro pause") == ["gcode_macro PAUSE"]
    assert configfile["warnings"] == []
    assert (await client.result("gcode/help"))["HELLO"] == "Greets"


async def test_delayed_scripts(make_rig: MakeRig) -> None:
    at_start = "\n[delayed_gcode AT_START]\ninitial_duration: 0.01\ngcode:\n  M118 started\n  WRONG\n"
    rig = await make_rig(config=MACROS + at_start, start=False)
    outputs: list[str] = []
    rig.printer.console._write = outputs.append
    await rig.start()
    await rig.wait_until(lambda: any("Error evaluating" in line for line in outputs))
    assert "echo: started" in outputs
    client = await rig.ready_client()
    await client.script("UPDATE_DELAYED_GCODE ID=LATER DURATION=0.01")
    await rig.wait_until(lambda: "echo: later 1" in outputs)
    assert "not valid for ID" in error(await client.script("UPDATE_DELAYED_GCODE ID=NO DURATION=1"))
    await client.script("UPDATE_DELAYED_GCODE ID=LATER DURATION=0.2\nUPDATE_DELAYED_GCODE ID=LATER DURATION=0")
    await asyncio.sleep(0.3)
    assert outputs.count("echo: later 1") == 1


async def test_a_restart_reads_the_macros_again(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig)
    rig.config.write_text("[gcode_macro NEW]\ngcode: M118 new\n[gcode_macro BAD]\ngcode: {% if %}\n")
    await client.result("gcode/restart")
    await client.closed.wait()
    again = await rig.ready_client()
    await again.script("NEW\nHELLO")
    assert again.output == ["echo: new", '// Unknown command:"HELLO"']
    warnings = (await again.status("configfile"))["warnings"]
    assert "[gcode_macro BAD] gcode: jinja2.exceptions.TemplateSyntaxError" in warnings[0]["message"]
    assert "gcode_macro BAD" not in (await again.status("configfile"))["config"]


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        ("[gcode_macro X Y]\ngcode: M118", "has blanks"),
        ("[gcode_macro A-B]\ngcode: M118", "cannot be the name of a command"),
        ("[gcode_macro FOO]\n", "gcode: the option is required here and missing"),
        ("[gcode_macro FOO]\ngcode: M118\nvariable_a: b c", "'b c' is not a valid literal"),
        ("[gcode_macro FOO]\ngcode: M118\nother: 1", "a macro has no such option"),
        ("[gcode_macro FOO]\ngcode: M118\nrename_existing: BAR", "there is no command FOO that could be renamed"),
        ("[gcode_macro PAUSE]\ngcode: M118", "there is a command PAUSE already"),
        ("[gcode_macro PAUSE]\ngcode: M118\nrename_existing: M9999", "of different types"),
        ("[gcode_macro PAUSE]\ngcode: M118\nrename_existing: RESUME", "there is a command RESUME already"),
        ("[gcode_macro PAUSE]\ngcode: M118\nrename_existing: A B", "cannot be the name of a command"),
        ("[gcode_macro FOO]\ngcode: M118\n[gcode_macro foo]\ngcode: M119", "another macro of this name"),
        ("[delayed_gcode FOO]\ninitial_duration: soon\ngcode: M118", "could not convert"),
        ("[delayed_gcode FOO]\ninitial_duration: -1\ngcode: M118", "no duration"),
        ("[delayed_gcode FOO]\n", "gcode: the option is required"),
    ],
)
async def test_a_wrong_macro_is_a_warning(make_rig: MakeRig, config: str, warning: str) -> None:
    rig = await make_rig(config=config, start=False)
    assert len(rig.printer.config.warnings) == 1
    assert warning in rig.printer.config.warnings[0]


NAMES = st.sampled_from(
    ["gcode_macro A1", "gcode_macro PAUSE", "gcode_macro M117", "gcode_macro", "gcode_macro T0", "x"]
)
OPTIONS = st.dictionaries(
    st.sampled_from(["gcode", "rename_existing", "description", "variable_a", "other"]),
    st.sampled_from(["PAUSE_BASE", "M9117", "{ x }", "{% if", "[1]", ""]) | st.text(max_size=10),
)


@given(st.dictionaries(NAMES, OPTIONS))
def test_no_configuration_raises(sections: dict[str, dict[str, str]]) -> None:
    macros = Macros(MacroActions(Console(lambda _: None), lambda _: None))
    assert all(isinstance(problem, str) for problem in macros.load(sections, lambda name: name == "PAUSE"))


async def printing(rig: Rig, client: RawClient, *lines: str) -> None:
    """Begin to print; the firmware does nothing yet."""
    rig.line.hold = True
    rig.write("print.gcode", *lines)
    await client.script("SDCARD_PRINT_FILE FILENAME=print.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))


async def go_on(rig: Rig) -> None:
    rig.line.hold = False
    rig.line._run()


async def test_pause_and_resume_by_macros(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig, CLIENT_MACROS)
    await client.script("G28\nM109 S200")
    rig.line.say(" T:200.00 /200.00 B:25.00 /0.00 @:0 B@:0")
    await printing(rig, client, "G90", "M82", "G1 X50 Y60 Z1 F3000", *["G4 P1"] * 60, "G1 X60")
    pausing = asyncio.create_task(client.result("pause_resume/pause"))
    await go_on(rig)
    await pausing
    assert (await client.status("print_stats"))["state"] == "paused"
    park = ["M83", "G1 E-1.0 F2100", "M82", "G90", "G1 Z3.0 F900", "G1 X5.0 Y190.0 F6000"]
    assert rig.line.sent[-len(park) :] == park
    await client.result("pause_resume/resume")
    assert await rig.job_ends() == "complete"
    back = rig.line.sent[rig.line.sent.index("M109 S200.0") :]
    assert back[:3] == ["M109 S200.0", "G0 X50.000 Y60.000 F6000", "G0 Z1.000 F6000"]
    assert back[-1] == "G1 X60"
    assert "G92 E0.00000" in back


async def test_a_pause_in_the_file_returns_to_where_it_was(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig, CLIENT_MACROS)
    await client.script("G28")
    rig.write("a.gcode", "G1 X50 Y60 Z1 F3000", "PAUSE", "G1 X60")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    assert rig.line.sent[-2:] == ["G1 X5.0 Y190.0 F6000", "M400"]
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    assert [line for line in rig.line.sent if line.startswith("G0 ")] == ["G0 X50.000 Y60.000 F6000", "G0 Z1.000 F6000"]
    assert rig.line.sent[-1] == "G1 X60"


async def test_cancel_by_a_macro(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig, CLIENT_MACROS)
    await client.script("G28")
    await printing(rig, client, *["G4 P1"] * 60, "G1 X60")
    cancelling = asyncio.create_task(client.result("pause_resume/cancel"))
    await go_on(rig)
    await cancelling
    assert (await client.status("print_stats"))["state"] == "cancelled"
    assert rig.line.sent[-1] == "M84"
    assert "G1 X1.0 Y190.0 F6000" in rig.line.sent
    assert "G1 X60" not in rig.line.sent


START = """
[gcode_macro START_PRINT]
gcode:
  M190 S{params.BED|default(60)|int}
  M109 S{params.EXTRUDER|default(200)|int}
  G28
  G1 X1
"""


async def test_a_cancel_leaves_the_start_macro_at_its_next_line(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig, START)
    await printing(rig, client, "START_PRINT BED=50", "G1 X60")
    assert rig.line.waiting() == ["M190 S50"]
    rig.line.say(" T:25.00 /0.00 B:30.00 /50.00 @:0 B@:127 W:?")
    rig.line.on_emergency = lambda command: rig.line.acknowledge() if rig.line.waiting() else None
    cancelling = asyncio.create_task(client.result("pause_resume/cancel"))
    await rig.wait_until(lambda: "M108" in rig.line.emergencies)
    await go_on(rig)
    await cancelling
    assert (await client.status("print_stats"))["state"] == "cancelled"
    assert not {"G28", "M109 S200", "G1 X1", "G1 X60"} & set(rig.line.sent)


async def test_what_a_user_types_waits_for_the_macro_of_the_file(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig, START)
    await printing(rig, client, "START_PRINT", *["G4 P1"] * 60)
    jog = asyncio.create_task(client.script("G91\nG1 E1\nG90"))
    await client.result("info")
    await go_on(rig)
    await jog
    assert await rig.job_ends() == "complete"
    sent = rig.line.sent
    assert sent.index("G1 X1") < sent.index("G91") < sent.index("G90")
    assert sent[sent.index("G91") : sent.index("G91") + 3] == ["G91", "G1 E1", "G90"]


async def test_a_failing_macro_ends_the_print(make_rig: MakeRig) -> None:
    rig, client = await ready(make_rig)
    rig.write("a.gcode", "G1 X1", "RAISE", "G1 X2")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "error"
    assert (await client.status("print_stats"))["message"] == "out of coffee"
    assert "G1 X2" not in rig.line.sent


async def test_a_macro_may_start_a_print_that_calls_it(make_rig: MakeRig) -> None:
    config = "[gcode_macro GO]\ngcode: SDCARD_PRINT_FILE FILENAME=a.gcode\n[gcode_macro SAY]\ngcode: M118 said\n"
    rig, client = await ready(
        make_rig, config + "[gcode_macro G4]\nrename_existing: G9004\ngcode:\n  G9004 P1\n  SAY\n"
    )
    rig.write("a.gcode", "G4 P3", "G9004 P2")
    await client.script("GO")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[-2:] == ["G4 P1", "G4 P2"]
    assert "echo: said" in client.output


async def test_the_owners_start_script_comes_before_the_file(make_rig: MakeRig) -> None:
    config = "[marlin]\nstart_gcode:\n  SAY WHAT=a\n  G28\n[gcode_macro SAY]\ngcode: M117 {params.WHAT}\n"
    rig, client = await ready(make_rig, config)
    rig.write("a.gcode", "G1 X1")
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert [line for line in rig.line.sent[mark:] if line != "M420"] == ["M117 a", "G28", "G1 X1"]


async def test_what_is_done_when_nobody_comes(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "SETTLE", 0.0)
    config = "[idle_timeout]\ntimeout: 0.1\ngcode:\n  M118 idle {printer.idle_timeout.state}\n"
    rig, client = await ready(make_rig, config)
    await client.script("M104 S50")
    await rig.wait_until(lambda: "echo: idle Idle" in client.output)
    assert "M84" not in rig.line.sent
    bad = "[idle_timeout]\ngcode: {% if %}\n"
    other = await make_rig(config=bad, start=False)
    assert other.printer.config.warnings[0].startswith("marlin.cfg line 2, [idle_timeout] gcode: jinja2")


async def test_a_text_keeps_its_case_under_another_name(make_rig: MakeRig) -> None:
    config = "[gcode_macro M117]\nrename_existing: M117.1\ngcode: M117.1 <{rawparams}>\n"
    rig, client = await ready(make_rig, config)
    await client.script("M117 Hello World")
    assert rig.line.sent[-1] == "M117 <Hello World>"


async def test_a_delayed_script_that_calls_itself_up_again(make_rig: MakeRig) -> None:
    config = (
        "[delayed_gcode LOOP]\ninitial_duration: 0.01\ngcode:\n  UPDATE_DELAYED_GCODE ID=LOOP DURATION=0.01\n  M105\n"
    )
    rig, client = await ready(make_rig, config)
    await rig.wait_until(lambda: rig.line.sent.count("M105") >= 4)
    await client.script("UPDATE_DELAYED_GCODE ID=LOOP DURATION=0")
