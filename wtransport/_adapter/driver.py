"""The driver: the one loop that moves datagrams, events and deadlines between an outlet, an engine and a handle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from .._protocol.events import ConnectionClosed
from .._quic.key_agreement import prepare_x25519
from .._quic.port import NetworkAddress, QuicPort
from .._speedups import DriverLoop
from ..constants import ErrorCodes
from .outlet import Outlet
from .ports import DrivenEngine
from .timer import clock_of

CLOSE_WAIT_LIMIT = 10.0
"""Seconds that `wait_closed` waits at most: for sessions to tell their ends (3 probe timeouts), for a full socket.

Three probe timeouts of a satellite link fit. Handles have their own, configured limit.
"""

INTERNAL_FAILURE = "internal error"
"""What the peer is told when the engine raised; the exception is for our log alone."""

_logger = logging.getLogger(__name__)


def ignore(*_: object) -> None:
    """Stand in for a callback before there is one, and when the connection is over."""


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def wake_all(waiters: list[asyncio.Future[None]]) -> None:
    """Wake whoever waits with `ConnectionDriver.wait_among`, and forget them."""
    for waiter in waiters:
        _wake(waiter)
    waiters.clear()


class ConnectionDriver(DriverLoop):
    """Drives one connection on an event loop; what happens for every packet is its base's.

    Whatever happens in one turn of the loop, received datagrams and commands of any number of handles alike, is
    answered by a single flush at its end. Not thread-safe. Subclasses know the sockets.
    """

    port: QuicPort
    _engine: DrivenEngine | None
    _outlet: Outlet | None
    _straight_to: NetworkAddress | None

    def __init__(self, *, port: QuicPort, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(port=port, loop=loop, clock=clock_of(loop))
        self.error: Exception | None = None
        """Why the connection was aborted on this side, for instance the ICMP error of a refused port."""

        self._aborting = False
        self._is_closed = False
        self._is_finished = False
        self._closed_waiters: list[asyncio.Future[None]] = []

    # For the connection's handle.

    def bind(self, *, engine: DrivenEngine, deliver: Callable[[Any], None]) -> None:
        """Set the engine to drive and who gets its events, before anything is sent or received.

        `deliver` is called with one event at a time and may call engine commands. An exception from it is logged and
        does not disturb the connection.

        Raises:
            RuntimeError: an engine is already bound, or the connection is over.
        """
        if self._engine is not None or self._is_finished:
            raise RuntimeError("the protocol already has an engine")
        self._engine = engine
        self._deliver = deliver
        engine.send_now = self.send_now
        self.port.request_flush = self.flush_soon
        self.port.request_prompt_flush = self.flush_promptly
        self.port.request_flush_at_once = self.flush_at_once

    def now(self) -> float:
        """Return the time of the connection's clock, in seconds."""
        return self._clock()

    @property
    def is_ready(self) -> bool:
        """Tell whether both ends have agreed to speak WebTransport."""
        return self._ready_reported or (self._engine is not None and self._engine.is_ready)

    @property
    def is_closed(self) -> bool:
        """Tell whether the connection is closed, and what that takes has been sent."""
        return self._is_closed

    @property
    def is_finished(self) -> bool:
        """Tell whether the connection is over and its draining period as well."""
        return self._is_finished

    def abort(
        self, error: Exception, *, error_code: int = ErrorCodes.H3_INTERNAL_ERROR, reason: str | None = None
    ) -> None:
        """End the connection at once because of a local error, which the attribute `error` then tells.

        CONNECTION_CLOSE is sent if possible, the handle gets its events, and nothing is left behind. The peer and the
        handle are told `error_code` and `reason`; None means the text of the error.
        """
        if self._is_finished or self._aborting:
            return
        self._aborting = True
        if self.error is None:
            self.error = error
        engine = self._engine
        if engine is not None:
            reason = str(error) if reason is None else reason
            try:
                # Not the engine's own way of closing, which first lets the sessions tell their ends.
                self.port.close(error_code, reason)
            except Exception:
                _logger.exception("closing a failed connection failed as well")
            self._flush_now()
            closed = ConnectionClosed(error_code, reason, False, True)
            if self._delivering:
                # Who delivers goes on with the engine's events, but may have no time for all, or meet another failure.
                self._loop.call_soon(self._tell_rest, engine, closed)
            elif not engine.is_closed:  # the engine is in no state to tell the handle
                self._hand_over(closed)
        self._finish()

    async def wait_closed(self, seconds: float | None = None) -> bool:
        """Return when the connection is closed and CONNECTION_CLOSE has been handed to the socket's transport.

        To be called after the engine was told to close, which can take it some round trips. A client may then close
        its socket (RFC 9000, 10.2); a server's connection drains on its own. Gives up after `CLOSE_WAIT_LIMIT` seconds,
        or as many as are given when they are fewer.

        Returns:
            whether the connection is closed.
        """
        if not self._is_closed:
            self._flush_now()
        if self._is_closed:
            return True
        await self.wait_among(
            self._closed_waiters, CLOSE_WAIT_LIMIT if seconds is None else min(seconds, CLOSE_WAIT_LIMIT)
        )
        return self._is_closed

    async def wait_among(self, waiters: list[asyncio.Future[None]], seconds: float) -> None:
        """Wait until these are woken, for so many seconds at most."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        waiters.append(waiter)
        timer = self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    def send_now(self) -> None:
        """Send what there is to send before the program is told what it is about: the peer waits for it."""
        engine, outlet = self._engine, self._outlet
        if engine is None or outlet is None or outlet.is_paused:
            return
        try:
            datagrams = engine.datagrams_to_send(self._clock())
            if datagrams:
                self._send(datagrams, outlet)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)

    # For whoever reads the socket.

    def receive(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one datagram; as with `receive_all`, `end_batch` must follow."""
        self.receive_all(((data, addr),), now)

    # The loop.

    def _flush_now(self) -> None:
        """Flush without waiting for the end of the turn, even into a full socket if the connection is closing."""
        try:
            self._deliver_events()
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)
        self._flush_scheduled = True
        self._flush()

    def _look_ahead(self, engine: DrivenEngine, now: float) -> None:
        """Take note of how far the connection has come, and arm the timer."""
        if not self._ready_reported:
            if engine.is_ready:
                self._ready_reported = True
                self._on_ready()
            else:
                prepare_x25519()  # for the next connection, while this one's peer computes
        deadline = engine.deadlines.next()
        if engine.is_closed:
            self._report_closed()
            if deadline is None:
                self._finish()
        if not self._is_finished:
            self._timer.set(deadline, now)

    def _on_timeout(self, now: float) -> None:
        engine = self._engine
        if engine is None:
            return
        try:
            engine.handle_timeout(now)
            if not self._has_backlog:
                self._deliver_events()
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._flush()

    # The end.

    def _fail(self, exc: Exception) -> None:
        """Give up a connection whose engine raised: its state can no longer be trusted."""
        if not self._aborting:
            _logger.error("%r failed", self, exc_info=exc)
            self.abort(exc, reason=INTERNAL_FAILURE)

    def _hand_over(self, event: Any) -> None:
        try:
            self._deliver(event)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._report(event, exc)

    def _report(self, event: Any, exc: Exception) -> None:
        _logger.error("handling %r failed", event, exc_info=exc)

    def _tell_rest(self, engine: DrivenEngine, closed: ConnectionClosed) -> None:
        """Deliver what is left after an abort, and the end if the engine was in no state to tell it."""
        try:
            while (event := engine.next_event()) is not None:
                self._hand_over(event)
        except Exception:
            _logger.exception("%r failed once more", self)
        if not engine.is_closed:
            self._hand_over(closed)

    def _report_closed(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        wake_all(self._closed_waiters)
        self._on_closed()

    def _finish(self, *, at_once: bool = True) -> None:
        """Let go of everything: the timer, the handle and the engine; last of all the socket.

        What these hold is left to the next turn of the loop if it need not be `at_once`, as somebody waits for the end,
        and if events are being delivered: who does that goes on with the engine.
        """
        if self._is_finished:
            return
        self._is_finished = True
        self._timer.close()
        self._report_closed()
        if self._outlet is not None:
            self._outlet.forget(self.flush_soon)
        self._on_finished()
        self.port.request_flush = self.port.request_prompt_flush = self.port.request_flush_at_once = ignore
        engine, self._engine = self._engine, None
        if at_once and not self._delivering:
            self._let_go(engine)
        else:
            self._loop.call_soon(self._let_go, engine)

    def _let_go(self, engine: DrivenEngine | None) -> None:
        self._deliver = ignore
        self.port.clear()
        if engine is not None:
            engine.clear()

    def _on_ready(self) -> None:
        """Both ends have agreed to speak WebTransport."""

    def _on_closed(self) -> None:
        """The connection is closed, and what that takes has been sent."""

    def _on_finished(self) -> None:
        """The connection is about to let go of its engine."""
