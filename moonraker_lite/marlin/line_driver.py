"""The line protocol on a real link: asyncio around `LineProtocol`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from moonraker_lite.errors import Unavailable
from moonraker_lite.marlin.link import Link, LinkError, Reset, open_link
from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Connected,
    Event,
    Fatal,
    FirmwareReset,
    LineProtocol,
    LinkStats,
    LinkTrouble,
    Resumed,
    State,
    Token,
)


class LineError(Unavailable):
    """The command was not (provably) executed: the session with the firmware was lost, or it halted."""


class NoAnswerError(LineError):
    """Nothing that answers as a printer hangs on the open port."""


class MarlinLine:
    """One printer's line: owns a `Link`, a `LineProtocol` and one timer. No tasks.

    Every protocol event goes to `on_event`, in order, `Acknowledged` included; a command's future is resolved right
    after its event. `on_lost` is called once with a sentence when the link breaks; `connect` may be called again.
    Where `keeps_session` says so at that moment, everything is kept as it stands (`suspended`), and `resume` goes on
    with a firmware that was not reset meanwhile; `connect` or `close` give it up.
    `on_writable` is called whenever at least half of the queue is free after something was acknowledged: push job
    lines there with `stream`. The callbacks may call every method here except `close` and `connect`.
    """

    def __init__(
        self,
        url: str,
        baud: int = 115200,
        *,
        on_event: Callable[[Event], None],
        on_lost: Callable[[str], None] | None = None,
        on_writable: Callable[[], None] | None = None,
        keeps_session: Callable[[], bool] | None = None,
        protocol: LineProtocol | None = None,
    ) -> None:
        self.url = url
        self.baud = baud
        self.reset_line = Reset.AS_IT_COMES
        """What opening the port does about the board's reset line."""
        self.reset_next = False
        """Press the reset button at the next `connect`, once."""
        self._keeps_session = keeps_session
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_writable = on_writable
        self._protocol = protocol or LineProtocol()
        self._half = max(self._protocol.can_accept() // 2, 1)
        self._link: Link | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flush_due: asyncio.Handle | None = None
        self._dispatching = False
        self._answers: dict[Token, asyncio.Future[tuple[str, ...]]] = {}
        self._drains: list[tuple[asyncio.Future[None], set[Token]]] = []
        self._writers: list[asyncio.Future[None]] = []
        self._shaking: asyncio.Future[bool] | None = None
        """The end of a handshake; True when the old session goes on."""

    # -- opening and closing ---------------------------------------------------------------------------------------

    async def connect(self, timeout: float = 30.0) -> None:
        """Open the link and finish the handshake. LinkError: cannot open; LineError: no firmware answers in time."""
        await self.close()
        self._loop = asyncio.get_running_loop()
        reset, self.reset_next = Reset.PULSE if self.reset_next else self.reset_line, False
        self._link = await open_link(self.url, self.baud, on_data=self._received, on_lost=self._lost, reset=reset)
        self._shaking = self._loop.create_future()
        self._protocol.connected(self._loop.time())
        await self._handshake(timeout)

    async def resume(self) -> bool:
        """Open the link of a suspended session again and find out what the firmware has executed meanwhile.

        True: the session goes on, nothing is lost and nothing will be executed twice. False: the handshake of a new
        session is done, because the board was reset meanwhile (`FirmwareReset` was told), or because nobody wanted the
        old one any more. It waits for as long as the link stays open: opening it once more could reset the board.

        LinkError: cannot be opened; the session stays suspended. LineError: it was lost again (and stays suspended),
        or the firmware halted.
        """
        if not self.suspended:
            raise LineError("There is no session that could go on")
        self._loop = asyncio.get_running_loop()
        reset = Reset.AS_IT_COMES if self.reset_line is Reset.PULSE else self.reset_line
        link = await open_link(self.url, self.baud, on_data=self._received, on_lost=self._lost, reset=reset)
        self._link = link
        shaking: asyncio.Future[bool] = self._loop.create_future()
        self._shaking = shaking
        self._protocol.resume(self._loop.time())
        self._pump()
        try:
            return await shaking
        except asyncio.CancelledError:
            if self._link is link:
                self._end("The line to the printer was closed", keep=True)
            raise
        finally:
            if self._shaking is shaking:
                self._shaking = None

    @property
    def suspended(self) -> bool:
        """The link is lost and the session is kept for `resume`."""
        return self._link is None and self._protocol.state is State.SUSPENDED

    async def restart(self, timeout: float = 30.0) -> None:
        """Drop everything queued and shake hands again on the same link. LineError as `connect`."""
        if self._link is None or self._loop is None:
            raise LineError(self._why_not())
        self._shaking = self._loop.create_future()
        self._fail(self._protocol.reset(self._loop.time()), "The line to the printer was restarted")
        await self._handshake(timeout)

    async def _handshake(self, timeout: float) -> None:
        shaking = self._shaking
        assert shaking is not None
        self._pump()
        try:
            async with asyncio.timeout(timeout):
                await shaking
        except (asyncio.CancelledError, LineError):
            await self.close()
            raise
        except TimeoutError:
            await self.close()
            raise NoAnswerError(
                f"No printer answers at {self.url} within {timeout:g} s: check port and baud rate"
            ) from None
        finally:
            if self._shaking is shaking:
                self._shaking = None

    async def close(self) -> None:
        """End the link and the timer; open futures get LineError. Idempotent."""
        self._end("The line to the printer was closed")

    def _end(self, message: str, *, keep: bool = False) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
        for handle in (self._timer, self._flush_due):
            if handle is not None:
                handle.cancel()
        self._timer = self._flush_due = None
        if keep and self._protocol.suspend():
            return
        self._fail(self._protocol.disconnected(), message)
        self._fail(tuple(self._answers), message)
        self._fail_waiters(message)

    def _lost(self, message: str) -> None:
        if self._link is None:
            return
        shaking = self._shaking
        if shaking is not None and not shaking.done():
            shaking.set_exception(LineError(message))
        self._end(message, keep=self._keeps_session is not None and self._keeps_session())
        if self._on_lost is not None:
            self._on_lost(message)

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]:
        """Queue a command; the future gives its reply lines when it is acknowledged.

        LineError in the future when the session is lost, or when there is none. ValueError, BufferError at once, as
        `LineProtocol.send`.
        """
        loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[tuple[str, ...]] = loop.create_future()
        if self._link is None or not (emergency or self._protocol.usable):
            answer.set_exception(LineError(self._why_not()))
            answer.exception()
            return answer
        token = self._protocol.send(command, loop.time(), emergency=emergency)
        self._answers[token] = answer
        if emergency:
            self._pump()
        else:
            self._flush_soon()
        return answer

    def stream(self, command: str) -> Token:
        """Queue a command without a future: its `Acknowledged(token)` comes to `on_event`.

        It goes out with `flush`, or by itself before the loop's next turn. LineError: not connected.
        """
        if self._link is None or self._loop is None or not self._protocol.usable:
            raise LineError(self._why_not())
        token = self._protocol.send(command, self._loop.time())
        if self._flush_due is None and not self._dispatching:
            self._flush_soon()
        return token

    def _why_not(self) -> str:
        if self.suspended:
            return "The connection to the printer was lost: the print waits until it is there again"
        if self._link is None:
            return "The printer is not connected"
        if self._protocol.state is State.HALTED:
            return "The printer is halted: it must be reset first"
        return "The line to the printer is out of step: it must be restarted first"

    def flush(self) -> None:
        """Put on the wire what the window permits, now."""
        if self._link is not None and not self._dispatching:
            self._pump()

    def _flush_soon(self) -> None:
        if self._flush_due is None and not self._dispatching and self._loop is not None:
            self._flush_due = self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = None
        self.flush()

    def can_accept(self) -> int:
        """How many more commands may be queued (0 when not connected)."""
        return self._protocol.can_accept() if self._link is not None else 0

    async def drained(self) -> None:
        """Wait until everything queued so far has been acknowledged. LineError when the session is lost."""
        if (self._link is None and not self.suspended) or self._loop is None:
            raise LineError(self._why_not())
        tokens = set(self._protocol.unacknowledged())
        if tokens:
            drained: asyncio.Future[None] = self._loop.create_future()
            self._drains.append((drained, tokens))
            await drained

    async def writable(self) -> None:
        """Wait until at least half of the queue is free. LineError when the session is lost."""
        if (self._link is None and not self.suspended) or self._loop is None:
            raise LineError(self._why_not())
        if self._protocol.can_accept() < self._half:
            free: asyncio.Future[None] = self._loop.create_future()
            self._writers.append(free)
            await free

    @property
    def connected(self) -> bool:
        """The link is open and the handshake done."""
        return self._link is not None and self._protocol.ready

    @property
    def stats(self) -> LinkStats:
        """Link health as figures."""
        return self._protocol.stats

    @property
    def protocol(self) -> LineProtocol:
        """The protocol machine (for `set_window`, `outstanding_lines`)."""
        return self._protocol

    # -- the machine room ------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        assert self._loop is not None
        self._dispatch(self._protocol.receive(data, self._loop.time()))

    def _timed(self) -> None:
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        deadline = self._protocol.next_deadline()
        if deadline is not None and deadline <= now:
            self._dispatch(self._protocol.tick(now))
        else:
            self._arm()

    def _dispatch(self, events: list[Event]) -> None:
        """Tell the events, let the owner push more, and send what may go."""
        self._dispatching = True
        on_event = self._on_event
        answers = self._answers
        try:
            for event in events:
                on_event(event)
                if type(event) is Acknowledged:
                    if answers and event.token in answers:
                        self._answer(event)
                    if self._drains:
                        self._drain(event.token)
                else:
                    self._react(event)
            if self._protocol.can_accept() >= self._half:
                self._tell_writable()
        finally:
            # Whatever a callback raised, the line goes on.
            self._dispatching = False
            if self._link is not None:
                self._pump()

    def _tell_writable(self) -> None:
        if self._on_writable is not None and self._protocol.ready:
            self._on_writable()
        if self._writers:
            writers, self._writers = self._writers, []
            for writer in writers:
                if not writer.done():
                    writer.set_result(None)

    def _react(self, event: Event) -> None:
        if isinstance(event, Resumed) and self._keeps_session is not None and not self._keeps_session():
            # What was queued must not be executed: the print was given up meanwhile.
            assert self._loop is not None
            self._fail(self._protocol.reset(self._loop.time()), "The print was given up")
        elif isinstance(event, Connected | Resumed):
            if self._shaking is not None and not self._shaking.done():
                self._shaking.set_result(isinstance(event, Resumed))
        elif isinstance(event, FirmwareReset):
            self._fail(event.unacknowledged, "The printer was reset")
            self._fail_waiters("The printer was reset")
        elif isinstance(event, Fatal):
            message = f"The printer halted: {event.message}"
            self._fail(event.unacknowledged, message)
            self._fail_waiters(message)
            if self._shaking is not None and not self._shaking.done():
                # Nobody will answer a hello until the board is reset.
                self._shaking.set_exception(LineError(message))
        elif isinstance(event, LinkTrouble) and not event.recoverable:
            self._fail(event.unacknowledged, event.message)
            self._fail_waiters(event.message)

    def _answer(self, event: Acknowledged) -> None:
        answer = self._answers.pop(event.token)
        if not answer.done():
            answer.set_result(event.replies)

    def _drain(self, token: Token) -> None:
        for drained, tokens in self._drains:
            tokens.discard(token)
            if not tokens and not drained.done():
                drained.set_result(None)
        self._drains = [drain for drain in self._drains if drain[1]]

    def _fail(self, tokens: tuple[Token, ...], message: str) -> None:
        for token in tokens:
            answer = self._answers.pop(token, None)
            if answer is not None and not answer.done():
                answer.set_exception(LineError(message))
                # Nobody may be waiting for it; that is no fault.
                answer.exception()

    def _fail_waiters(self, message: str) -> None:
        waiters = [drained for drained, _ in self._drains] + self._writers
        self._drains = []
        self._writers = []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(LineError(message))

    def _pump(self) -> None:
        assert self._loop is not None
        data = self._protocol.data_to_send(self._loop.time())
        if data and self._link is not None:
            try:
                self._link.write(data)
            except LinkError as error:
                self._loop.call_soon(self._lost, error.message)
        self._arm()

    def _arm(self) -> None:
        """One timer: moved forward only when it would come too late, so that a fast line does not touch it."""
        assert self._loop is not None
        deadline = self._protocol.next_deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(max(deadline, self._loop.time()), self._timed)
