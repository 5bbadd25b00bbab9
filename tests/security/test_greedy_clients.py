"""Clients that want all memory, all places or all the time (advisories T16, T32, T33; promise 5)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.security.target import HEADERS_END, Target, answer_of, closed, frame, parse, read_answer

MANY = 250
GROWTH = 60  # MiB that an attack may cost


def call(method: str, request_id: object = 1, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}).encode()


# -- JSON ----------------------------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def by_http(target: Target, message: bytes) -> bytes:
    return target.request("POST", "/server/jsonrpc", message, {"Content-Type": "application/json"}).body


def by_unix(target: Target, message: bytes) -> bytes:
    with target.unix() as wire:
        wire.sendall(message + b"\x03")
        return answered(wire)


def by_websocket(target: Target, message: bytes) -> bytes:
    wire, _ = target.websocket()
    with wire:
        wire.sendall(frame(message))
        return answered(wire)


def answered(wire: socket.socket) -> bytes:
    """All that comes until an answer is there: notifications, which have no id, may be before it."""
    data = b""
    while b'"id":' not in data and (piece := wire.recv(1 << 20)):
        data += piece
    return data


WAYS = [by_http, by_unix, by_websocket]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("levels", [100, 129, 500, 970, 975, 977, 979, 981, 983, 985, 987, 990, 1000, 100_000])
def test_deep_json_is_answered(target: Target, way: Callable[[Target, bytes], bytes], levels: int) -> None:
    """Whatever is decoded can also be echoed, stored, read again and sent on."""
    deep = nested(levels)
    for message in (
        b'{"jsonrpc":"2.0","method":"no.such","id":%b}' % deep,
        b'{"jsonrpc":"2.0","method":"server.info","id":%b}' % deep,
        b'{"jsonrpc":"2.0","method":"server.database.post_item","id":1,'
        b'"params":{"namespace":"deep","key":"k","value":%b}}' % deep,
        b'{"jsonrpc":"2.0","method":"printer.objects.query","id":1,"params":{"objects":%b}}' % deep,
    ):
        answer = way(target, message)
        assert b'"jsonrpc":"2.0"' in answer
        assert b"Internal" not in answer
        assert (b"-32700" in answer) == (levels > 126)


def test_what_was_stored_deep_can_be_read(target: Target) -> None:
    for levels in (1, 100, 120, 124, 125, 126, 127, 128):
        body = b'{"namespace":"depths","key":"a.b.c%d","value":%b}' % (levels, nested(levels))
        target.request("POST", "/server/database/item", body, {"Content-Type": "application/json"})
    assert target.get("/server/database/item", namespace="depths").status == 200
    assert by_websocket(target, call("server.database.get_item", namespace="depths")).count(b"[") > 500


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("unit", [b"{},", b"[],", b'"",', b"1,", b'{"":[]},'])
def test_json_of_nothing_but_brackets_costs_no_memory(
    target: Target, way: Callable[[Target, bytes], bytes], unit: bytes
) -> None:
    before = target.memory
    values = (unit * (3_900_000 // len(unit)))[:-1]
    answer = way(target, b'{"jsonrpc":"2.0","method":"server.info","id":1,"params":{"a":[%b]}}' % values)
    assert b"too many values" in answer
    assert target.memory - before < GROWTH


def test_messages_over_the_limit(target: Target) -> None:
    """A body is refused before it is read, a websocket message ends its connection."""
    head = b"POST /server/jsonrpc HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    assert target.raw(head + b"Content-Length: 100000000\r\n\r\n").startswith(b"HTTP/1.1 413")
    wire, _ = target.websocket()
    with wire:
        wire.sendall(frame(b"", 1, 5_000_000))
        assert closed(wire)


def test_a_batch_is_bounded(target: Target) -> None:
    batch = b"[%b]" % b",".join([call("server.info")] * 1001)
    for way in WAYS:
        assert b"at most 1000 calls" in way(target, batch)


# -- strangers -----------------------------------------------------------------------------------------------------


def test_strangers_may_say_little(locked: Target) -> None:
    wire, answer = locked.websocket()
    assert answer.status == 101
    with wire:
        wire.sendall(frame(b"", 1, 100_000))
        assert closed(wire)
    wire, _ = locked.websocket()
    with wire:
        who = {"client_name": "a", "version": "1", "type": "web", "url": "", "api_key": locked.key}
        wire.sendall(frame(call("server.connection.identify", **who)))
        time.sleep(0.3)
        wire.sendall(frame(call("server.database.post_item", namespace="big", key="a", value="b" * 200_000)))
        data = b""
        while b"b" * 1000 not in data and (piece := wire.recv(1 << 20)):
            data += piece
        assert b"b" * 1000 in data


def test_strangers_keep_no_user_out(locked: Target) -> None:
    """More websockets than there are places: the oldest of those that nobody knows give way."""
    with ExitStack() as stack:
        for _ in range(80):
            wire, answer = locked.websocket()
            stack.enter_context(wire)
            assert answer.status == 101
        wire, answer = locked.websocket({"X-Api-Key": locked.key})
        stack.enter_context(wire)
        assert answer.status == 101
        wire.sendall(frame(call("server.info")))
        assert b"klippy_connected" in read_answer(wire, 1.5)


def test_bodies_of_strangers_are_not_kept(locked: Target) -> None:
    before = locked.memory
    head = b"POST /printer/gcode/script HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n"
    with Crowd(locked, head + b"a" * 400_000, 100):
        assert locked.request("GET", "/access/info").status == 200
        assert locked.memory - before < GROWTH


# -- many slow ones ------------------------------------------------------------------------------------------------

SLOW = {
    "headers": b"GET /server/info HTTP/1.1\r\nHost: a\r\nX: ",
    "body": b"POST /printer/gcode/script HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 2000,
    "uploads": b"POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b'Content-Length: 1000000\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="s.gcode"\r\n\r\nG28',
    "downloads": b"GET /server/files/gcodes/large.gcode HTTP/1.1\r\nHost: a\r\n\r\n",
    "answers": b"GET /server/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
}


class Crowd(ExitStack):
    """Many connections that have sent the same and then neither send nor read."""

    def __init__(self, target: Target, data: bytes, count: int) -> None:
        super().__init__()
        for _ in range(count):
            wire = self.enter_context(target.connect())
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                wire.sendall(data)
            except OSError:
                continue  # refused already


def few_descriptors(target: Target, count: int) -> None:
    """Wait until the host has no more open than that."""
    end = time.monotonic() + 10
    while target.descriptors > count and time.monotonic() < end:
        time.sleep(0.05)
    assert target.descriptors <= count


@pytest.fixture
def large(target: Target) -> Iterator[None]:
    path = target.gcodes / "large.gcode"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    yield
    path.unlink()


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.usefixtures("large")
def test_many_slow_clients(target: Target, kind: str) -> None:
    before = target.memory
    with Crowd(target, SLOW[kind], MANY):
        for _ in range(20):
            assert target.request("GET", "/server/info", seconds=10).status == 200
        assert target.rpc("server.info")["result"]["klippy_state"] == "ready"
        assert target.memory - before < GROWTH
    few_descriptors(target, 60)


def test_more_connections_than_there_are_places(target: Target) -> None:
    with Crowd(target, SLOW["headers"], 1100):
        assert target.request("GET", "/server/info", seconds=10).status == 200
        few_descriptors(target, 1060)


def test_a_websocket_that_never_reads(target: Target) -> None:
    """It is cut off at some megabytes; the others do not notice."""
    before = target.memory
    deaf, _ = target.websocket()
    other, _ = target.websocket()
    with deaf, other:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(5)
        with pytest.raises(OSError):
            for _ in range(5000):
                deaf.sendall(frame(call("server.openapi")) * 10)
        other.sendall(frame(call("server.info")))
        assert b"klippy_connected" in read_answer(other, 2)
        assert target.memory - before < GROWTH


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_a_client_that_never_stops_asking(target: Target, kind: str) -> None:
    """What one sends ahead is worked on by turns with the calls of others."""
    wire = target.websocket()[0] if kind == "websocket" else target.connect()
    question = frame(call("server.info")) if kind == "websocket" else b"GET /server/info HTTP/1.1\r\nHost: a\r\n\r\n"
    stop = threading.Event()

    def ask() -> None:
        with suppress(OSError):  # one that does not read as fast as it asks is cut off in the end
            while not stop.is_set():
                wire.sendall(question * 100)

    def read() -> None:
        with suppress(OSError):
            while wire.recv(1 << 20):
                pass

    threads = [threading.Thread(target=work) for work in (ask, read)]
    for thread in threads:
        thread.start()
    try:
        worst = 0.0
        for _ in range(30):
            begin = time.monotonic()
            assert target.request("GET", "/server/info", seconds=10).status == 200
            worst = max(worst, time.monotonic() - begin)
        assert worst < 5, "others wait until the flood is over"
    finally:
        stop.set()
        threads[0].join()
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
        threads[1].join()
        wire.close()


def test_a_unix_client_that_never_ends_its_message(target: Target) -> None:
    before = target.memory
    with target.unix() as wire:
        with pytest.raises(OSError):
            for _ in range(100):
                wire.sendall(b"a" * 1_000_000)
        assert target.memory - before < GROWTH
    with target.unix() as wire:
        wire.sendall(call("server.info") + b"\x03")
        assert "result" in answer_of(wire)


def test_scripts_that_are_too_long_for_the_printer(target: Target) -> None:
    """Neither is the connection to it lost, nor is it kept from its print by reading them."""
    for size in (140_000, 4_100_000):
        answer = target.post("/printer/gcode/script", script="; a line\n" * (size // 9))
        assert answer.status in (400, 413)
    assert target.request("GET", "/printer/info").status == 200


def test_answers_have_one_end(target: Target) -> None:
    """Pipelined requests of every kind: as many answers, in order."""
    data = b"GET /server/info HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" * 100
    with target.connect() as wire:
        wire.sendall(data + b"GET /server/info HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := wire.recv(1 << 16):
            received += piece
    statuses = []
    while received:
        answer = parse(received)
        statuses.append(answer.status)
        received = received[received.index(HEADERS_END) + 4 + int(answer.headers["content-length"]) :]
    assert statuses == [200, 404] * 100 + [200]
