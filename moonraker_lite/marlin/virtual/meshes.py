"""The mesh of the virtual bed, in the tables of each kind of levelling."""

from __future__ import annotations

import math
from collections.abc import Iterator

from moonraker_lite.marlin.virtual.personality import MeshKind

POINTS = 5
MARGIN = 20.0
UBL_MARGIN = 1.0


def height(column: int, row: int, probing: int = 0) -> float:
    """Height of the virtual bed at a point of its 5 x 5 mesh, in mm. No two `probing`s find quite the same."""
    error = 0.004 * math.sin(probing * (1.0 + column + 2.0 * row))
    return 0.15 * math.sin(1.0 + 0.9 * column) - 0.05 * row + 0.02 * math.cos(3.0 * row) + error


def table(kind: MeshKind, bed: tuple[float, float, float], probing: int, *, csv: bool = False) -> Iterator[bytes]:
    """The mesh as M420 V (G81) prints it; `csv` for UBL's T1."""
    heights = [[height(column, row, probing) for column in range(POINTS)] for row in range(POINTS)]
    if kind is MeshKind.UBL:
        yield from _csv(heights) if csv else _topography(heights, bed)
    elif kind is MeshKind.PRUSA:
        yield b"Num X,Y: 5,5\nZ search height: 5.00\nMeasured points:\n"
        for row in reversed(heights):
            yield "".join(f"  {value:.5f}" for value in row).encode() + b"\n"
    else:
        yield from _grid(heights, kind)


def _grid(heights: list[list[float]], kind: MeshKind) -> Iterator[bytes]:
    if kind is MeshKind.BILINEAR:
        digits, title = 3, b"Bilinear Leveling Grid:\n"
    else:
        digits, title = 5, b"Mesh Bed Level data:\n5x5 mesh. Z offset: 0.00000\nMeasured points:\n"
    yield title
    blanks = " " * (digits + 3)
    yield f" {blanks.join(['', *map(str, range(POINTS))])}\n".encode()
    for number, row in enumerate(heights):
        yield f" {number} {' '.join(f'{value:+.{digits}f}' for value in row)}\n".encode()
    yield b"\n"


def _topography(heights: list[list[float]], bed: tuple[float, float, float]) -> Iterator[bytes]:
    left, right, front, back = (f"{value:3.0f}" for value in (1.0, bed[0] - 1.0, 1.0, bed[1] - 1.0))
    between = " " * (8 * POINTS - 18)
    labels = "       " + "".join(f" {column}      " for column in range(POINTS))
    yield b"\nBed Topography Report:\n\n"
    yield f"    ({left},{back}){between}({right},{back})\n".encode()
    yield f"{labels}\n".encode()
    for row in reversed(range(POINTS)):
        cells = "".join(f" {value:+.3f} " for value in heights[row])
        yield f" {row} |{cells}\n".encode()
        if row:
            yield b"   |\n"
    yield f"{labels}\n".encode()
    yield f"    ({left},{front}){between}({right},{front})\n\n".encode()


def _csv(heights: list[list[float]]) -> Iterator[bytes]:
    yield b"\nBed Topography Report for CSV:\n\n"
    for row in reversed(heights):
        yield "\t".join(f"{value:.3f}" for value in row).encode() + b"\n"
