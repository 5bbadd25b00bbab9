"""Framing: any split of any stream gives the same messages, and rubbish costs only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.klippy.framing import SEPARATOR, FrameDecoder, Reply, encode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.lists(st.fixed_dictionaries({"id": st.integers(1, 2**31), "result": JSON}), max_size=6)
RUBBISH = st.binary(min_size=1, max_size=20).filter(lambda raw: SEPARATOR not in raw and not _is_message(raw))


def _is_message(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def _feed(decoder: FrameDecoder, parts: list[bytes]) -> list[Reply]:
    return [reply for part in parts for reply in decoder.feed(part)]


@given(MESSAGES, st.lists(st.integers(0, 10_000), max_size=8))
def test_any_split_gives_the_messages_that_were_sent(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(json.dumps(message).encode() + SEPARATOR for message in messages)
    decoder = FrameDecoder()
    replies = _feed(decoder, _split(stream, cuts))
    assert [(reply.id, reply.result) for reply in replies] == [(m["id"], m["result"]) for m in messages]
    assert decoder.dropped == 0


@given(st.lists(RUBBISH, min_size=1, max_size=4), st.lists(st.integers(0, 1000), max_size=5))
def test_rubbish_is_dropped_and_the_next_message_still_comes(rubbish: list[bytes], cuts: list[int]) -> None:
    stream = SEPARATOR.join(rubbish) + SEPARATOR + b'{"id":7,"result":{}}' + SEPARATOR
    decoder = FrameDecoder()
    replies = _feed(decoder, _split(stream, cuts))
    assert [reply.id for reply in replies] == [7]
    assert decoder.dropped == len(rubbish)


@given(st.binary())
def test_nothing_raises(data: bytes) -> None:
    FrameDecoder(max_frame=16).feed(data)


def test_a_frame_over_the_bound_is_not_kept() -> None:
    decoder = FrameDecoder(max_frame=100)
    assert decoder.feed(b'{"id":1,"result":"' + b"x" * 100) == []
    for _ in range(50):
        assert decoder.feed(b"x" * 1000) == []
    assert decoder.dropped == 1
    assert len(decoder._buffer) == 0
    assert [reply.id for reply in decoder.feed(b'"}\x03{"id":2,"result":{}}\x03')] == [2]
    assert decoder.dropped == 1


def test_a_frame_of_exactly_the_bound_passes() -> None:
    frame = b'{"id":1,"result":{}}'
    assert len(FrameDecoder(max_frame=len(frame)).feed(frame + SEPARATOR)) == 1
    assert len(FrameDecoder(max_frame=len(frame) - 1).feed(frame + SEPARATOR)) == 0


def test_empty_frames_are_no_messages_and_no_faults() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\x03\x03\x03") == []
    assert decoder.dropped == 0


def test_python_s_nan_and_infinity_become_null() -> None:
    [reply] = FrameDecoder().feed(b'{"id":1,"result":{"a":NaN,"b":[Infinity,-Infinity,1.5]}}\x03')
    assert reply.result == {"a": None, "b": [None, None, 1.5]}


@pytest.mark.parametrize(
    "raw", [b'{"id":[1]}', b'{"id":1.5}', b"[1]", b"5", b'{"method":7}', b'"x"', b"\xff\xfe", b"[" * 9000]
)
def test_what_is_no_message_of_klipper_is_dropped(raw: bytes) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(raw + SEPARATOR) == []
    assert decoder.dropped == 1


@given(st.text(), st.dictionaries(st.text(), JSON), st.integers(1, 2**31))
def test_requests_are_one_frame_of_json(method: str, params: dict[str, Any], request_id: int) -> None:
    raw = encode(method, params, request_id)
    assert raw.endswith(SEPARATOR)
    assert raw.count(SEPARATOR) == 1
    assert json.loads(raw[:-1]) == {"id": request_id, "method": method, "params": params}


def test_without_id_nothing_is_answered() -> None:
    assert json.loads(encode("info", None)[:-1]) == {"method": "info", "params": {}}
