"""Pictures on a terminal: as graphics where it knows a protocol for that, otherwise as half blocks in colour.

Sources: the documentation of kitty's graphics protocol and of iTerm2's inline images.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonraker_lite.cli.scan_files import Scanned
from moonraker_lite.cli.scan_output import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console

COLUMNS = 48
ROWS = 24
MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 16_000_000
_CHUNK = 4096
_CLEAR = 64
"""Alpha below which a pixel is not drawn."""


class CannotDraw(Exception):
    """Why there is no drawing, for people."""


def method_of(environment: Mapping[str, str]) -> str:
    """What the terminal says it can: `kitty`, `iterm2` or `blocks`. Multiplexers pass no graphics on."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term.startswith(("screen", "tmux")) or "TMUX" in environment:
        return "blocks"
    if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return "blocks"


def draw_pictures(scanned: list[Scanned], method: str) -> list[str]:
    """Draw the largest picture of each file on standard output. What cannot be drawn comes back as sentences."""
    from rich.console import Console

    console = Console(file=sys.stdout)
    method = method_of(os.environ) if method == "auto" else method
    complaints = []
    for item in scanned:
        thumbnails: list[dict[str, Any]] = (item.facts or {}).get("thumbnails", [])
        if not thumbnails:
            continue
        path = Path(max(thumbnails, key=lambda picture: picture["width"] * picture["height"])["relative_path"])
        try:
            if len(scanned) > 1:
                console.print(printable(str(item.path)), markup=False, highlight=False)
            draw(path, method, console)
        except (OSError, CannotDraw) as error:
            complaints.append(f"The picture of {item.path} cannot be drawn: {error}")
    return list(dict.fromkeys(complaints))


def draw(path: Path, method: str, console: Console) -> None:
    """Draw one picture. Raises OSError and CannotDraw."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CannotDraw("it is too large.")
    if method == "kitty":
        for piece in kitty(data if data.startswith(b"\x89PNG") else _as_png(data)):
            console.file.write(piece)
        console.file.write("\n")
    elif method == "iterm2":
        console.file.write(iterm2(data) + "\n")
    else:
        _draw_blocks(_opened(data), console)
    console.file.flush()


def kitty(png: bytes) -> Iterator[str]:
    """Escape sequences that show a PNG: base64 in chunks of at most 4096 bytes."""
    text = base64.standard_b64encode(png).decode()
    for start in range(0, len(text), _CHUNK):
        more = int(start + _CHUNK < len(text))
        head = f"a=T,f=100,q=2,r={ROWS // 2},m={more}" if start == 0 else f"m={more}"
        yield f"\x1b_G{head};{text[start : start + _CHUNK]}\x1b\\"


def iterm2(data: bytes) -> str:
    """The escape sequence that shows a picture of any usual format."""
    text = base64.standard_b64encode(data).decode()
    return f"\x1b]1337;File=inline=1;size={len(data)};height={ROWS // 2}:{text}\x07"


def _draw_blocks(picture: Image, console: Console) -> None:
    """Two pixels per character: the upper half block in the colour of the one on that of the other."""
    from rich.style import Style
    from rich.text import Text

    picture.thumbnail((min(COLUMNS, console.width), 2 * ROWS))
    pixels = picture.load()
    width, height = picture.size
    for top in range(0, height, 2):
        line = Text()
        for column in range(width):
            upper = _colour(pixels[column, top])  # type: ignore[index]
            lower = _colour(pixels[column, top + 1]) if top + 1 < height else None  # type: ignore[index]
            if upper is None:
                line.append("▄" if lower else " ", Style(color=lower))
            else:
                line.append("▀", Style(color=upper, bgcolor=lower))
        console.print(line, overflow="crop", no_wrap=True)


def _colour(pixel: Any) -> str | None:
    red, green, blue, alpha = pixel
    return None if alpha < _CLEAR else f"#{red:02x}{green:02x}{blue:02x}"


def _opened(data: bytes) -> Image:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise CannotDraw("that needs Pillow: pip install 'moonraker-lite[images]'") from None
    try:
        with Image.open(BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise CannotDraw("it is too large.")
            return picture.convert("RGBA")
    except (UnidentifiedImageError, ValueError, SyntaxError, EOFError, OSError, Image.DecompressionBombError) as error:
        raise CannotDraw(f"it is damaged ({error}).") from None


def _as_png(data: bytes) -> bytes:
    target = BytesIO()
    _opened(data).save(target, "PNG")
    return target.getvalue()
