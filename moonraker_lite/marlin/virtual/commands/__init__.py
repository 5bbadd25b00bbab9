"""The commands of the virtual Marlin, one small function each."""

from moonraker_lite.marlin.virtual.commands import heat, moves, pause, settings, talk

HANDLERS = {**moves.TABLE, **heat.TABLE, **settings.TABLE, **talk.TABLE, **pause.TABLE}
"""By command word."""
