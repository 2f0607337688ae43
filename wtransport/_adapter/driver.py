"""The driver: the one loop that moves datagrams, events and deadlines between an outlet, an engine and a handle."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Sequence
from typing import Any

from .._protocol.events import ConnectionClosed
from .._quic.port import NetworkAddress, QuicPort
from ..constants import ErrorCodes
from .outlet import Outlet
from .ports import DrivenEngine
from .timer import TIMER_GRANULARITY, DeadlineTimer, clock_of

CLOSE_WAIT_LIMIT = 10.0
"""Seconds that `wait_closed` waits at most: for sessions to tell their ends (3 probe timeouts), for a full socket.

Three probe timeouts of a satellite link fit. Handles have their own, configured limit.
"""

INTERNAL_FAILURE = "internal error"
"""What the peer is told when the engine raised; the exception is for our log alone."""

_logger = logging.getLogger(__name__)


def ignore(*_: object) -> None:
    """Stand in for a callback before there is one, and when the connection is over."""


class ConnectionDriver:
    """Drives one connection on an event loop.

    Whatever happens in one turn of the loop, received datagrams and commands of any number of handles alike, is
    answered by a single flush at its end. Not thread-safe. Subclasses know the sockets.
    """

    def __init__(self, *, port: QuicPort, loop: asyncio.AbstractEventLoop) -> None:
        self.port = port
        self.error: Exception | None = None
        """Why the connection was aborted on this side, for instance the ICMP error of a refused port."""

        self._loop = loop
        # Flushes run in this context, not in that of whichever task wrote first.
        self._context = contextvars.copy_context()
        self._clock = clock_of(loop)
        self._timer = DeadlineTimer(loop=loop, clock=self._clock, callback=self._on_timeout, context=self._context)
        self._engine: DrivenEngine | None = None
        self._deliver: Callable[[Any], None] = ignore
        self._outlet: Outlet | None = None
        self._straight_to: NetworkAddress | None = None  # lone datagrams to it pass `_send` by
        self._flush_scheduled = False
        self._flush_held = False
        self._has_backlog = False
        self._delivering = False
        self._aborting = False
        self._ready_reported = False
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
        self.port.request_flush = self.flush_soon

    def now(self) -> float:
        """Return the time of the connection's clock, in seconds."""
        return self._clock()

    def flush_soon(self) -> None:
        """Send what there is to send at the end of this turn of the loop; asking again before that costs nothing."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush, context=self._context)

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
            if not engine.is_closed and not self._delivering:  # the engine is in no state to tell the handle
                self._hand_over(ConnectionClosed(error_code, reason, False, True))
        self._finish()

    async def wait_closed(self) -> None:
        """Return when the connection is closed and CONNECTION_CLOSE has been handed to the operating system.

        To be called after the engine was told to close, which can take it some round trips. A client may then close
        its socket (RFC 9000, 10.2); a server's connection drains on its own. Gives up after `CLOSE_WAIT_LIMIT` seconds.
        """
        if not self._is_closed:
            self._flush_now()
        if self._is_closed:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._closed_waiters.append(waiter)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_LIMIT):
                await waiter

    # For whoever reads the socket.

    def receive(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one datagram; as with `receive_all`, `end_batch` must follow."""
        self.receive_all(((data, addr),), now)

    def receive_all(self, datagrams: Sequence[tuple[bytes, NetworkAddress]], now: float) -> None:
        """Take datagrams with their senders' addresses; after one or several calls `end_batch` must follow."""
        engine = self._engine
        if engine is None:
            return
        if not self._flush_scheduled:
            # Held back until the events are out, so that answers written by woken tasks share the flush.
            self._flush_scheduled = self._flush_held = True
        try:
            engine.receive_datagrams(datagrams, now)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)

    def take(self, datagrams: Sequence[tuple[bytes, NetworkAddress]], now: float, until: float | None = None) -> bool:
        """Take a whole batch: `receive_all` and `end_batch` in one, as most datagrams come alone."""
        engine = self._engine
        if engine is None or self._flush_scheduled or self._has_backlog:
            self.receive_all(datagrams, now)
            return self.end_batch(until)
        self._flush_scheduled = self._flush_held = True
        try:
            engine.receive_datagrams(datagrams, now)
            self._deliver_events(until)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)
        finally:
            if self._flush_held:
                self._flush_held = False
                self._loop.call_soon(self._flush, context=self._context)
        return self._has_backlog and self._engine is not None

    def end_batch(self, until: float | None = None) -> bool:
        """Deliver the events of the datagrams received, then schedule the flush.

        Args:
            until: when to leave the rest for later; None delivers everything.

        Returns:
            whether anything was left: then this must be called again, before any further datagram is received.
        """
        goes_on = self._has_backlog
        try:
            self._deliver_events(until)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)
        finally:
            if self._flush_held:
                self._flush_held = False
                self._loop.call_soon(self._flush, context=self._context)
            elif goes_on:
                self.flush_soon()
        return self._has_backlog and self._engine is not None

    # The loop.

    def _flush(self) -> None:
        if not self._flush_scheduled:
            return  # somebody could not wait for the end of the turn
        self._flush_scheduled = self._flush_held = False
        engine, outlet = self._engine, self._outlet
        if engine is None or outlet is None:
            return
        if outlet.is_paused and not engine.is_closed:
            outlet.call_when_resumed(self.flush_soon)
            return
        try:
            now = self._clock()
            datagrams = engine.datagrams_to_send(now)
            if datagrams:
                if len(datagrams) == 1 and datagrams[0][1] is self._straight_to:
                    outlet.send_one(datagrams[0][0], self._straight_to)
                else:
                    self._send(datagrams, outlet)
            if not self._has_backlog and not self._delivering and (engine.events or engine.has_work()):
                self._deliver_events()
            # A deadline takes a while to find; where the timer fires soon, it is looked at then.
            soon = self._timer.fires_at <= now + TIMER_GRANULARITY
            if not soon or not self._ready_reported or engine.is_closed or self.port.is_paced:
                self._look_ahead(engine, now)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)

    def _flush_now(self) -> None:
        """Flush without waiting for the end of the turn, even into a full socket if the connection is closing."""
        try:
            self._deliver_events()
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)
        self._flush_scheduled = True
        self._flush()

    def _send(self, datagrams: list[tuple[bytes, NetworkAddress]], outlet: Outlet) -> None:
        """Hand datagrams to the socket."""
        raise NotImplementedError

    def _deliver_events(self, until: float | None = None) -> None:
        """Deliver all events; or some until it is late, as a packet can ask for more than a turn's work."""
        engine = self._engine
        if engine is None or self._delivering:
            return
        self._has_backlog = False
        self._delivering = True
        events, has_work, step, deliver = engine.events, engine.has_work, engine.step, self._deliver
        try:
            while True:
                if events:
                    event = events.popleft()
                    try:
                        deliver(event)
                    except Exception:
                        _logger.exception("handling %r failed", event)
                elif not has_work() or not step():
                    return
                if until is not None and self._clock() >= until:
                    self._has_backlog = True
                    return
        finally:
            self._delivering = False

    def _look_ahead(self, engine: DrivenEngine, now: float) -> None:
        """Take note of how far the connection has come, and arm the timer."""
        if not self._ready_reported and engine.is_ready:
            self._ready_reported = True
            self._on_ready()
        deadline = engine.next_deadline()
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
        except Exception:
            _logger.exception("handling %r failed", event)

    def _report_closed(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for waiter in self._closed_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._closed_waiters.clear()
        self._on_closed()

    def _finish(self) -> None:
        """Let go of everything: the timer, the handle and the engine; last of all the socket."""
        if self._is_finished:
            return
        self._is_finished = True
        self._timer.close()
        self._report_closed()
        if self._outlet is not None:
            self._outlet.forget(self.flush_soon)
        self._on_finished()
        self.port.request_flush = ignore
        self.port.clear()
        if self._engine is not None:
            self._engine.clear()
        self._engine = None
        self._deliver = ignore

    def _on_ready(self) -> None:
        """Both ends have agreed to speak WebTransport."""

    def _on_closed(self) -> None:
        """The connection is closed, and what that takes has been sent."""

    def _on_finished(self) -> None:
        """The connection is about to let go of its engine."""
