"""Nobody keeps the event loop to themselves by sending calls ahead."""

from __future__ import annotations

import asyncio

from moonraker_lite.transports.patience import BURST, Turns


async def test_others_have_their_turn_after_a_burst() -> None:
    turns, seen_by_others, longest = Turns(), 0, 0
    in_a_row = 0

    async def other() -> None:
        nonlocal seen_by_others, in_a_row
        while True:
            seen_by_others += 1
            in_a_row = 0
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(20 * BURST):
        in_a_row += 1
        longest = max(longest, in_a_row)
        if (turn := turns.breathe()) is not None:
            await turn
    task.cancel()
    assert longest <= BURST
    assert seen_by_others >= 19


async def test_two_that_send_ahead_share() -> None:
    turns, calls = Turns(), [0, 0]

    async def client(number: int) -> None:
        while calls[number] < 10 * BURST:
            calls[number] += 1
            assert abs(calls[0] - calls[1]) <= 2 * BURST or max(calls) == 10 * BURST
            if (turn := turns.breathe()) is not None:
                await turn

    await asyncio.gather(client(0), client(1))
