"""What the driver of a connection does for every packet."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Any

from .._constants import TIMER_GRANULARITY
from .deadline_timer import DeadlineTimer

__all__ = ["DriverLoop"]


def _ignore(*_: object) -> None:
    """Stand in for a callback before there is one."""


class DriverLoop:
    """Takes datagrams, delivers the events that they give, and sends what there is to send at the end of the turn.

    A subclass sets what is driven (``_engine``, ``_deliver``, ``_outlet``) and deals with what is rare: ``_fail``,
    ``_report``, ``_send``, ``_look_ahead``, ``_on_timeout``, ``_receive_others``.

    Args:
        port: the QUIC port, which is asked whether it is paced.
        loop: the event loop, of which `call_soon` and `call_later` are used.
        clock: its clock, in seconds.
    """

    def __init__(self, *, port: Any, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """Begin with nothing to drive."""
        self.port = port
        self._loop = loop
        self._clock = clock
        # Flushes run in this context, not in that of whichever task wrote first.
        self._context = contextvars.copy_context()
        self._timer = DeadlineTimer(loop=loop, clock=clock, callback=self._on_timeout, context=self._context)
        self._engine: Any = None
        self._deliver: Callable[[Any], None] = _ignore
        self._outlet: Any = None
        self._straight_to: Any = None  # lone datagrams from and to it need no second look
        self._flush_scheduled = False
        self._flush_held = False
        self._has_backlog = False
        self._delivering = False
        self._ready_reported = False
        self._is_prompt = False  # this turn began with something that was sent at once
        self._has_more = False  # and there was more
        self._had_more = False  # so it was in the turn before
        self._sends_after_events = False  # a handler gave something that goes at once

    def flush_soon(self) -> None:
        """Send what there is to send at the end of this turn of the loop; asking again before that costs nothing."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush, context=self._context)

    def flush_promptly(self, is_whole: bool = False) -> None:
        """Like `flush_soon`, but send at once what the program gives first in a turn, so that its answer comes sooner.

        What follows in the same turn waits for its end, to share packets; and where the turn before had more than one,
        so does the first. While events are delivered, what their handlers give goes when they are out, but for the
        first if the last of them gives it and it `is_whole`: nothing can follow that belongs with it.
        """
        if not self._is_prompt:
            self._is_prompt = True
            if not self._had_more:
                self._send_at_once(is_whole=is_whole)
        else:
            self._has_more = True
            if self._delivering and not self._had_more:
                self._sends_after_events = True
        self.flush_soon()

    def flush_at_once(self) -> None:
        """Like `flush_soon`, but send what there is already now: much more will follow in this turn."""
        self.flush_soon()
        self._send_at_once()

    def _send_at_once(self, *, is_whole: bool = False) -> None:
        engine, outlet = self._engine, self._outlet
        if engine is None or outlet is None or not self._ready_reported:
            return
        if outlet.is_paused or engine.is_closed:
            return
        if self._delivering and (not is_whole or engine.events or engine.has_work()):
            self._sends_after_events = True
            return
        try:
            self._send_what_is_due(engine, outlet, self._clock())
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, Any]]) -> None:
        """Take a batch of datagrams from a socket of the connection's own."""
        if self._straight_to is not None and datagrams[0][1] is self._straight_to:
            self.take(datagrams, self._clock())
        else:
            self._receive_others(datagrams)

    def receive_all(self, datagrams: Sequence[tuple[bytes, Any]], now: float) -> None:
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

    def take(self, datagrams: Sequence[tuple[bytes, Any]], now: float, until: float | None = None) -> bool:
        """Take a whole batch: `receive_all` and `end_batch` in one, as most datagrams come alone."""
        self.receive_all(datagrams, now)
        return self.end_batch(until)

    def end_batch(self, until: float | None = None) -> bool:
        """Deliver the events of the datagrams received, then schedule the flush.

        Args:
            until: when to leave the rest for later; None delivers everything.

        Returns:
            whether anything was left: then this must be called again.
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

    def _flush(self) -> None:
        """Send what there is to send, deliver what that gave, and set the timer."""
        if not self._flush_scheduled:
            return  # somebody could not wait for the end of the turn
        self._flush_scheduled = self._flush_held = self._is_prompt = False
        self._had_more, self._has_more = self._has_more, False
        engine, outlet = self._engine, self._outlet
        if engine is None or outlet is None:
            return
        if outlet.is_paused and not engine.is_closed:
            outlet.call_when_resumed(self.flush_soon)
            return
        try:
            now = self._clock()
            self._send_what_is_due(engine, outlet, now)
            if not self._has_backlog and not self._delivering and (engine.events or engine.has_work()):
                self._deliver_events()
            if not self._ready_reported or engine.is_closed:
                self._look_ahead(engine, now)
            elif self._timer.fires_at > now + TIMER_GRANULARITY or self.port.is_paced:
                # A deadline takes a while to find; where the timer fires soon, it is looked at then.
                self._timer.set(engine.deadlines.next(), now)
        except Exception as exc:  # noqa: BLE001 - logged there
            self._fail(exc)

    def _send_what_is_due(self, engine: Any, outlet: Any, now: float) -> None:
        datagrams = engine.datagrams_to_send(now)
        if datagrams:
            if len(datagrams) == 1 and datagrams[0][1] is self._straight_to:
                outlet.send_one(datagrams[0][0], self._straight_to)
            else:
                self._send(datagrams, outlet)

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
                    except Exception as exc:  # noqa: BLE001 - logged there
                        self._report(event, exc)
                elif not has_work() or not step():
                    break
                if until is not None and self._clock() >= until:
                    self._has_backlog = True
                    break
        finally:
            self._delivering = False
        if self._sends_after_events:
            self._sends_after_events = False
            self._send_at_once()

    # What a subclass has to say.

    def _fail(self, exc: Exception) -> None:
        """Give up: the engine raised."""
        raise NotImplementedError

    def _report(self, event: Any, exc: Exception) -> None:
        """Take note that handling an event raised."""
        raise NotImplementedError

    def _send(self, datagrams: list[tuple[bytes, Any]], outlet: Any) -> None:
        """Hand datagrams to the socket."""
        raise NotImplementedError

    def _look_ahead(self, engine: Any, now: float) -> None:
        """Take note of how far a connection has come that is not ready, or is closed, and set the timer."""
        raise NotImplementedError

    def _on_timeout(self, now: float) -> None:
        """Do what is due."""
        raise NotImplementedError

    def _receive_others(self, datagrams: Sequence[tuple[bytes, Any]]) -> None:
        """Take datagrams that may have to be looked at first."""
        raise NotImplementedError
