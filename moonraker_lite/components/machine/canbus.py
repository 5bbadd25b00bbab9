"""Looking for boards on a CAN bus that wait for an id. Klipper's protocol: docs/CANBUS_protocol.md of Klipper."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import msgspec

from moonraker_lite.errors import BadRequest

_FRAME = struct.Struct("=IB3x8s")
_ADMIN_ID, _ANSWER_ID = 0x3F0, 0x3F1
_QUERY_UNASSIGNED, _NEED_NODE_ID = b"\x00", 0x20
_APPLICATIONS = {0x01: "Klipper", 0x11: "CanBoot"}
LISTEN = 2.0  # seconds in which boards may answer


class CanNode(msgspec.Struct, frozen=True):
    """A board without an id: its unique number in hexadecimal digits, and what runs on it."""

    uuid: str
    application: str


def parse_answer(frame: bytes) -> CanNode | None:
    """Read a CAN frame as the answer to the query; None when it is something else."""
    if len(frame) < _FRAME.size:
        return None
    can_id, length, data = _FRAME.unpack_from(frame)
    if can_id & 0x1FFFFFFF != _ANSWER_ID or length < 7 or data[0] != _NEED_NODE_ID:
        return None
    application = _APPLICATIONS.get(data[7] if length > 7 else 0x01, "Unknown")
    return CanNode(data[1:7].hex(), application)


def find_nodes(interface: str) -> list[CanNode]:
    """Ask and listen for two seconds; blocks, run in a thread.

    Raises:
        BadRequest: there is no such interface, it is down, or the kernel has no CAN.
    """
    nodes: dict[str, CanNode] = {}
    try:
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as bus:
            bus.bind((interface,))
            bus.send(_FRAME.pack(_ADMIN_ID, 1, _QUERY_UNASSIGNED.ljust(8, b"\0")))
            end = time.monotonic() + LISTEN
            while (left := end - time.monotonic()) > 0:
                bus.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    if (node := parse_answer(bus.recv(_FRAME.size))) is not None:
                        nodes[node.uuid] = node
    except OSError as error:
        raise BadRequest(f"CAN interface '{interface[:32]}' cannot be used: {error.strerror or error}") from None
    return list(nodes.values())
