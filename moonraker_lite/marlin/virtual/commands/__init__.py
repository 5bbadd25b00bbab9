"""The commands of the virtual Marlin, one small function each."""

from moonraker_lite.marlin.virtual.commands import card, heat, levelling, moves, pause, settings, talk, tools, tune

_GROUPS = (moves, heat, levelling, settings, talk, pause, tools, tune, card)

HANDLERS = {name: handler for group in _GROUPS for name, handler in group.TABLE.items()}
"""By command word."""
