"""Giving events to the handlers of one emitter: plain functions inline, coroutines in tasks."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from time import time
from types import CoroutineType
from typing import Any

from .datagrams import DatagramTap
from .handler_tasks import HandlerTasks

__all__ = ["HandlerCaller", "Listener"]

_new = object.__new__


class Listener:
    """One registration of a handler, dead once `is_active` is False.

    Args:
        handler: a function or a coroutine function of one event.
        order: its place among the listeners of an event.
        is_once: for one event only.
        is_waiter: it wakes a task that waits for an event.
    """

    __slots__ = ("handler", "is_active", "is_once", "is_waiter", "order")

    def __init__(self, handler: Callable[[Any], Any], order: int, is_once: bool, is_waiter: bool) -> None:
        """Begin alive."""
        self.handler = handler
        self.order = order
        self.is_once = is_once
        self.is_waiter = is_waiter
        self.is_active = True


class HandlerCaller(HandlerTasks):
    """Makes the events of one emitter, and calls what its table of routes says.

    A route is a tuple of `Listener`. What comes seldom is left to a subclass, which has these methods besides those of
    `HandlerTasks`: ``_route(event_type)`` makes a route, ``_remove(event_type, listener)``;
    ``_log_failure(error, listener, event)`` is for a plain function, ``_log_refusal(error, event_type)`` for where no
    event could be emitted; ``_begin_history()`` returns the new one, and ``_postpones(event)``, asked where `queue` is
    not None, queues an event or returns False.

    Args:
        routes: routes by event type, as far as they were made; read anew for each event.
        event_class: the class of events, which are made without a call of their constructor: ``type``, ``timestamp``,
            ``data`` and ``source`` are set.
        type_class: the class of the event types for which `emit` does anything.

    Attributes:
        history: the events so far; None before the first.
        queue: what waits in a pause; None when there was none.
        is_closed: no event goes anywhere any more.
    """

    __slots__ = ("_event_class", "_routes", "_type_class", "history", "is_closed", "queue")

    def __init__(self, routes: dict[str, Any], event_class: type[Any], type_class: type[Any]) -> None:
        """Begin with no history."""
        super().__init__()
        self._routes = routes
        self._event_class = event_class
        self._type_class = type_class
        self.history: deque[Any] | None = None
        self.queue: deque[Any] | None = None
        self.is_closed = False

    def emit(self, event_type: str, data: Any, source: Any) -> bool:
        """Make an event, remember it and call its handlers.

        Returns:
            False when nothing was done, as it is not that simple: the first event, a pause, nobody who listens, an
            event type of another class.

        Raises:
            RuntimeError: a coroutine handler needs a running event loop.
        """
        route = self._plain_route(event_type)
        if route is None:
            return False
        self._emit_on(route, event_type, data, source)
        return True

    def emit_each(self, event_type: str, inbox: DatagramTap, key: str, shared: dict[str, Any], source: Any) -> None:
        """Emit an event for each datagram of an inbox while anybody listens; an exception is logged.

        Args:
            event_type: the type of the events.
            inbox: where the datagrams are; its ``leave_to_reader`` is called when nobody listens (any more).
            key: the place of the datagram in an event's data.
            shared: the rest of the data.
            source: the source of the events.
        """
        was_handing_out = inbox.is_handing_out
        inbox.is_handing_out = True
        try:
            is_heard = self._emit_what_is_there(event_type, inbox, key, shared, source)
        except Exception as error:  # noqa: BLE001 - logged there
            self._log_refusal(error, event_type)
            is_heard = True
        finally:
            inbox.is_handing_out = was_handing_out
        if not is_heard:
            inbox.leave_to_reader()

    def _emit_what_is_there(
        self, event_type: str, inbox: DatagramTap, key: str, shared: dict[str, Any], source: Any
    ) -> bool:
        """Emit an event for each datagram; False as soon as nobody listens."""
        routes = self._routes
        while True:
            # Looked up each time: a handler can have been the last one.
            route = routes.get(event_type)
            if not route and not (route := self._route(event_type)):
                return False
            item = inbox.take_for_handlers() if inbox.is_pulled else inbox._queue.pop()
            if item is None:
                return True
            if self.is_closed:
                continue
            event = _new(self._event_class)
            event.type = event_type
            event.timestamp = time()
            event.data = {**shared, key: item}
            event.source = source
            history = self.history
            if history is None:
                history = self._begin_history()
            history.append(event)
            if self.queue is None or not self._postpones(event):
                self._give_to(event, route, True)

    def deliver(self, event: Any, route: tuple[Any, ...] | None = None) -> asyncio.Task[None] | None:
        """Call the plain handlers; return the task that runs the rest, if there is a coroutine among them.

        `route` is what the table says of the event's type, for who has just asked it.

        Raises:
            RuntimeError: there is one, and no event loop is running.
        """
        if route is None and (route := self._routes.get(event.type)) is None:
            route = self._route(event.type)
        return self._give_to(event, route, False)

    def _give_to(self, event: Any, route: tuple[Any, ...], at_once: bool) -> asyncio.Task[None] | None:
        for listener in route:
            if not listener.is_active:
                continue
            if listener.is_once:
                self._remove(event.type, listener)
            try:
                result = listener.handler(event)
            except Exception as error:  # noqa: BLE001 - logged there
                self._log_failure(error, listener, event)
                continue
            if result is not None and (type(result) is CoroutineType or inspect.isawaitable(result)):
                return self._go_on(result, listener, route, event, at_once)
        return None

    def _plain_route(self, event_type: str) -> tuple[Any, ...] | None:
        """Return where an event goes; None: nowhere, or there is more to do than to make, keep and deliver it."""
        if self.history is None or self.queue is not None or self.is_closed or type(event_type) is not self._type_class:
            return None
        return self._routes.get(event_type) or None

    def _emit_on(self, route: tuple[Any, ...], event_type: str, data: Any, source: Any) -> None:
        event = _new(self._event_class)
        event.type = event_type
        event.timestamp = time()
        event.data = data
        event.source = source
        self.history.append(event)  # type: ignore[union-attr]  # there is one
        self.deliver(event, route)

    # What a subclass has to say.

    def _route(self, event_type: str) -> tuple[Any, ...]:
        raise NotImplementedError

    def _remove(self, event_type: str, listener: Any) -> None:
        raise NotImplementedError

    def _log_failure(self, error: Exception, listener: Any, event: Any) -> None:
        raise NotImplementedError

    def _log_refusal(self, error: Exception, event_type: str) -> None:
        raise NotImplementedError

    def _begin_history(self) -> deque[Any]:
        raise NotImplementedError

    def _postpones(self, event: Any) -> bool:
        raise NotImplementedError
