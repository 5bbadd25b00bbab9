"""The page that a browser gets at `/`: enough to see that the host lives, and where to go."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Protocol

from moonraker_lite.api.replies import RawReply

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 44em; margin: 3em auto; padding: 0 1em; color: #222; background: #fafafa }
table { border-collapse: collapse }
th, td { padding: .2em 1.5em .2em 0; text-align: left; vertical-align: top }
li { margin: .3em 0 }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = (
    ("Content-Security-Policy", f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


class State(Protocol):
    """The part of server.info that the page shows."""

    @property
    def klippy_state(self) -> str: ...
    @property
    def lite_version(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def failed_components(self) -> list[str]: ...


def welcome_page(state: State | None, address: str) -> RawReply:
    """Make the page; `state` is None for a caller without rights, who is told how to get some."""
    body = _stranger(address) if state is None else _known(state)
    page = (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>moonraker_lite</title>"
        f"<style>{_STYLE}</style></head><body><h1>moonraker_lite</h1>{body}</body></html>\n"
    )
    return RawReply(page.encode(), "text/html; charset=UTF-8", headers=_HEADERS)


def _stranger(address: str) -> str:
    return (
        f"<p>A printer's host answers here, but not to your address, {escape(address)}: it is not among "
        "<code>trusted_clients</code> in the section <code>[authorization]</code> of moonraker.conf.</p>"
    )


def _known(state: State) -> str:
    rows = (("Version", state.lite_version), ("Printer", state.klippy_state))
    table = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}" for name, value in rows)
    return (
        "<p>This is the host of a 3D printer. Point Mainsail, Fluidd or a slicer at this address.</p>"
        f"<table>{table}</table>"
        + _list("Components that could not start", state.failed_components)
        + _list("Warnings", state.warnings)
        + "<p><a href=/server/info>Status</a> · <a href=/server/openapi.json>Description of the interface</a></p>"
    )


def _list(title: str, items: list[str]) -> str:
    if not items:
        return ""
    return f"<h2>{escape(title)}</h2><ul>{''.join(f'<li>{escape(item)}' for item in items)}</ul>"
