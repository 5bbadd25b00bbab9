"""Commands that keep the firmware from everything else: homing, probing, heating, waiting for a human.

In a print each is sent when all before it is executed, and nothing is sent behind it: who cancels while the bed heats
up does not want the axes homed before heaters go off. And nothing is asked meanwhile.
"""

from __future__ import annotations

SLOW = frozenset(
    {
        *("G28", "G29", "G30", "G33", "G34", "G35", "G76", "G80", "G425"),
        *("M0", "M1", "M48", "M109", "M116", "M125", "M190", "M191"),
        *("M226", "M303", "M600", "M601", "M701", "M702"),
    }
)
