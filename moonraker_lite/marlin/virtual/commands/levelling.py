"""Probing the bed and using the mesh, as each kind of levelling has it."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual import meshes
from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, dwell, enter, finish_moves
from moonraker_lite.marlin.virtual.personality import MeshKind
from moonraker_lite.marlin.virtual.words import parse_words

PROBE_SECONDS = 3.2

TABLE: Table = {}


@enter(TABLE, "G29")
def probe_mesh(board: Board, rest: bytes) -> Run:
    kind = board.who.mesh
    if kind not in (MeshKind.BILINEAR, MeshKind.UBL, MeshKind.MEASURED):
        board.unknown(b"G29 " + rest)
        return None
    words = parse_words(rest)
    if kind is MeshKind.UBL and not words.get("P"):
        _unified(board, words)
        return None
    if not board.motion.homed.issuperset("XYZ"):
        board.say(b"echo:Home XYZ First\r\n")
        board.say(b"//action:notification Home XYZ First\r\n")
        return None
    if kind is MeshKind.UBL and words.get("P") != 1.0:
        return None  # P2 to P6 edit what was probed
    return _probe(board, verbose=(words.get("V") or 0.0) >= 4.0)


def _unified(board: Board, words: dict[str, float | None]) -> None:
    """What G29 does besides probing: A and D switch, S and L store and load, T prints."""
    for letter, said in (("S", b"saved in"), ("L", b"loaded from")):
        if (slot := words.get(letter)) is not None:
            board.mesh_slot = int(slot)
            board.say(b"Mesh %b slot %d\nDone.\n" % (said, board.mesh_slot))
    if "A" in words or "D" in words:
        board.values["M420"]["S"] = float("A" in words)
        board.say(b"Unified Bed Leveling System v1.01 %bactive\n\n" % (b"" if "A" in words else b"in"))
    if "T" in words:
        board.say_all(meshes.table(MeshKind.UBL, board.who.bed, board.probing, csv=words["T"] == 1.0))


def _probe(board: Board, *, verbose: bool) -> Iterator[float]:
    kind = board.who.mesh
    yield from finish_moves(board)
    board.probing += 1
    if verbose:
        board.say(b"G29 Auto Bed Leveling\n")
    low, reach = meshes.MARGIN, board.motion.reach
    for point in range(meshes.POINTS**2):
        if verbose or kind is MeshKind.UBL:
            board.say(b"Probing mesh point %d/%d.\n" % (point + 1, meshes.POINTS**2))
        yield from dwell(board, PROBE_SECONDS)
        row, column = divmod(point, meshes.POINTS)
        x, y = (low + (reach[axis] - 2 * low) * at / (meshes.POINTS - 1) for axis, at in (("X", column), ("Y", row)))
        if verbose:
            board.say(f"Bed X: {x:.2f} Y: {y:.2f} Z: {meshes.height(column, row, board.probing):.2f}\n".encode())
    board.motion.position.update({"X": reach["X"] - low, "Y": reach["Y"] - low, "Z": 4.91})
    if kind is not MeshKind.UBL:
        board.values["M420"]["S"] = 1.0
        board.say_all(meshes.table(kind, board.who.bed, board.probing))
    board.say_position()


@enter(TABLE, "M420")
def levelling(board: Board, rest: bytes) -> Run:
    kind = board.who.mesh
    if "M420" not in board.values:
        board.unknown(b"M420 " + rest)
        return None
    words = parse_words(rest)
    values = board.values["M420"]
    if (slot := words.get("L")) is not None:
        board.mesh_slot = int(slot)
    if "V" in words:
        board.say_all(meshes.table(kind, board.who.bed, board.probing, csv=words.get("T") == 1.0))
        if kind is MeshKind.UBL:
            board.say(b"Mesh is valid\nStorage slot: %d\n" % board.mesh_slot)
    fade = words.get("Z")
    if fade is not None:
        values["Z"] = fade
    switch = words.get("S")
    if switch is not None:
        values["S"] = float(bool(switch))
    board.say(b"echo:Bed Leveling %b\n" % (b"ON" if values["S"] else b"OFF"))
    board.say(f"echo:Fade Height {values['Z']:.2f}\r\n".encode())
    if switch is not None:
        board.say_position()
    return None


@enter(TABLE, "G80")
def prusa_probe(board: Board, rest: bytes) -> Run:
    if board.who.mesh is not MeshKind.PRUSA:
        board.unknown(b"G80 " + rest)
        return None
    return _prusa_probe(board)


def _prusa_probe(board: Board) -> Iterator[float]:
    yield from finish_moves(board)
    yield from dwell(board, PROBE_SECONDS * meshes.POINTS**2)
    board.probing += 1
    board.mesh_active = True


@enter(TABLE, "G81")
def prusa_table(board: Board, rest: bytes) -> Run:
    if board.who.mesh is not MeshKind.PRUSA:
        board.unknown(b"G81 " + rest)
    elif board.mesh_active:
        board.say_all(meshes.table(MeshKind.PRUSA, board.who.bed, board.probing))
    else:
        board.say(b"Mesh bed leveling not active.\n")
    return None
