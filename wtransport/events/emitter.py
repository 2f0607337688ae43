"""`EventEmitter`: calls handlers when events happen.

The hot path is `EventEmitter.emit_nowait` with plain functions as handlers: they are called inline, with no task and no
future; and of the events that come with every datagram and stream not even an `Event` is made while nobody listens.
"""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from .._speedups import DatagramTap, StreamArrivals
from ..exceptions import WebTransportError
from ..types import EventData, EventType, Timeout
from .delivery import Delivery
from .event import Event
from .kept import KeptEvent
from .listeners import EVERY_EVENT, EventHandler, ListenerTable

__all__ = ["EventEmitter"]

_logger = logging.getLogger(__name__)

_MAX_QUEUED_EVENTS = 10_000  # events kept by a paused emitter: a pause that is forgotten must not eat the memory
_DEFAULT_MAX_LISTENERS = 100  # per event type; more are likely to be a leak

_HANDLE_KEYS = frozenset({"connection", "session", "stream"})  # of the data of the library's events


class EventEmitter:
    """Calls handlers when events happen.

    The handlers of one event run one after the other, in the order of their registration. An exception in one is
    logged and does not stop the others. Everything here belongs to one event loop and its thread.

    Args:
        max_listeners: handlers of one event type above which a warning is logged (default 100; 0: never).
    """

    # Clients, servers and programs' own classes inherit from this one: two leading underscores keep names apart.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__max_listeners = _DEFAULT_MAX_LISTENERS
        if args or kwargs:
            max_listeners = kwargs.pop("max_listeners", _DEFAULT_MAX_LISTENERS)
            if args or kwargs:
                unexpected = ", ".join([*map(repr, args), *kwargs])
                raise TypeError(f"{type(self).__name__} got unexpected arguments: {unexpected}")
            self.set_max_listeners(max_listeners=max_listeners)
        self.__table = table = ListenerTable()
        self.__delivery = Delivery(table)
        self.__drain_task: asyncio.Task[None] | None = None
        self.__waiting: set[asyncio.Future[Event]] = set()

    def on(self, *, event_type: EventType | str, handler: EventHandler) -> None:
        """Call `handler` for every event of this type, until `off`. A second time for the same handler only warns.

        Raises:
            TypeError: `handler` is not callable, or `event_type` is not a string.
        """
        if type(event_type) is EventType and callable(handler) and self.__table.add_first(event_type, handler):
            self._listener_added(event_type)
        else:
            self.__register(_checked(event_type), handler, is_once=False)

    def once(self, *, event_type: EventType | str, handler: EventHandler) -> None:
        """Call `handler` for the next event of this type only.

        Raises:
            TypeError: `handler` is not callable, or `event_type` is not a string.
        """
        self.__register(_checked(event_type), handler, is_once=True)

    def on_any(self, *, handler: EventHandler) -> None:
        """Call `handler` for every event of every type, until `off_any`.

        Raises:
            TypeError: `handler` is not callable.
        """
        self.__register(EVERY_EVENT, handler, is_once=False)

    def off(self, *, event_type: EventType | str, handler: EventHandler | None = None) -> None:
        """Remove `handler`, or every handler, of this type. One that is not there is no error."""
        self.__unregister(_checked(event_type), handler)

    def off_any(self, *, handler: EventHandler | None = None) -> None:
        """Remove `handler`, or every handler, that `on_any` registered. One that is not there is no error."""
        self.__unregister(EVERY_EVENT, handler)

    def remove_all_listeners(self, *, event_type: EventType | str | None = None) -> None:
        """Remove every handler of this type, or all handlers of all types; a `wait_for` under way goes on."""
        for key in self.__table.types() if event_type is None else [_checked(event_type)]:
            self.__unregister(key, None)

    def set_max_listeners(self, *, max_listeners: int) -> None:
        """Set how many handlers of one type are normal; above it every further one logs a warning (0: never).

        Raises:
            ValueError: a negative number.
        """
        if max_listeners < 0:
            raise ValueError(f"max_listeners must be at least 0, not {max_listeners!r}")
        self.__max_listeners = max_listeners

    def listeners(self, *, event_type: EventType | str) -> list[EventHandler]:
        """Return the handlers of this type, in order; not those of `on_any`."""
        return [each.handler for each in self.__table.registered(event_type) if not each.is_waiter]

    def listener_count(self, *, event_type: EventType | str) -> int:
        """Return how many handlers and `wait_for` calls there are for this type; those of `on_any` do not count."""
        return len(self.__table.registered(event_type))

    def has_listeners(self, *, event_type: EventType | str) -> bool:
        """Tell whether an event of this type would reach anybody: handlers, those of `on_any`, `wait_for` calls."""
        route = self.__table.routes.get(event_type)
        return bool(self.__table.route(event_type) if route is None else route)

    def emit_nowait(self, *, event_type: EventType | str, data: EventData | None = None, source: Any = None) -> None:
        """Call the handlers of an event, without waiting for those that are coroutines.

        Handlers that are plain functions run before this returns. From the first coroutine on, the handlers of this
        event run in a task of their own, so that a slow one never delays the next event.

        Raises:
            RuntimeError: a coroutine handler needs a running event loop.
        """
        delivery = self.__delivery
        if not delivery.emit(event_type, data, source):
            admitted = delivery.admit(event_type, data, source)
            if admitted is not None:
                delivery.deliver(admitted)

    def _emitting_each(
        self, *, event_type: EventType, inbox: DatagramTap, key: str, shared: dict[str, Any], source: Any
    ) -> Callable[[], None]:
        """Return what emits an event for each datagram of an inbox, as `emit_nowait` does, while anybody listens.

        The data of each are `shared`, and the datagram under `key`. What it raises is logged. There is no other call
        between it and the handlers.
        """
        return partial(self.__delivery.emit_each, event_type, inbox, key, shared, source)

    def _release_spare_task(self) -> None:
        """Let go of what stands ready for coroutine handlers of datagrams: none are about to come."""
        self.__delivery.release_spare_task()

    def _announcing(self, event_type: EventType, **session: Any) -> StreamArrivals:
        """Return what emits an event for each stream that a peer opens, as `emit_nowait` does, where that is simple.

        Args:
            event_type: the type of the events.
            session: what `StreamArrivals` has to know of the session.
        """
        return StreamArrivals(self.__delivery, event_type, **session)

    @property
    def _is_handling(self) -> bool:
        """Tell whether handlers that are coroutines run, or are about to."""
        return bool(self.__delivery.handling)

    def _enter_history(self, kept: KeptEvent) -> None:
        """Put an event into the history that happened before there was this emitter."""
        self.__delivery.enter_history(kept)

    def _emit_kept(self, kept: KeptEvent) -> None:
        """Emit an event about the handle that this emitter belongs to, as `emit_nowait` does."""
        self.__delivery.emit_kept(kept)

    async def emit(self, *, event_type: EventType | str, data: EventData | None = None, source: Any = None) -> None:
        """Call the handlers of an event and return when all of them are done.

        On a paused emitter the event is queued and this returns at once. Cancelling it cancels the handler that runs.
        """
        event = self.__delivery.admit(event_type, data, source)
        if event is not None:
            await self.__delivery.run(event)

    async def wait_for(
        self,
        *,
        event_type: EventType | str,
        timeout: Timeout | None = None,
        condition: Callable[[Event], bool] | None = None,
    ) -> Event:
        """Return the next event of this type for which `condition` is true.

        Args:
            event_type: the type to wait for.
            timeout: seconds; None waits without end.
            condition: called with each event of the type; an exception in it is raised here.

        Raises:
            TimeoutError: the built-in one; no such event came in time.
            WebTransportError: the emitter was closed.
        """
        key = _checked(event_type)
        if self.__delivery.is_closed:
            raise _closed_error()
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def offer(event: Event) -> None:
            if future.done():
                return  # cancelled, and the caller's task has not run since
            try:
                if condition is None or condition(event):
                    future.set_result(event)
            except Exception as error:  # noqa: BLE001 - it is raised in the caller of wait_for
                future.set_exception(error)
            if future.done():
                # At once, not when the caller's task runs: what comes until then is for the next listener.
                self.__table.remove(key, listener)

        listener = self.__table.add(key, offer, is_waiter=True)
        self.__waiting.add(future)
        try:
            self._listener_added(key)
            if timeout is None:
                return await future
            if not future.done():
                await asyncio.wait((future,), timeout=timeout)
            if not future.done():
                raise builtins.TimeoutError(f"no {key} event within {timeout} seconds")
            return future.result()
        finally:
            self.__waiting.discard(future)
            self.__table.remove(key, listener)
            listener.handler = _nobody  # `offer` knew it, and it knew `offer`
            if not future.cancel() and not future.cancelled():
                future.exception()  # seen, whether or not this wait was cancelled first

    def pause(self) -> None:
        """Queue events from now on instead of calling handlers; the oldest is dropped when 10,000 wait."""
        self.__delivery.pause(max_queued=_MAX_QUEUED_EVENTS)

    def resume(self) -> asyncio.Task[None] | None:
        """Call handlers again; events queued by `pause` come first, before any that is emitted from now on.

        Returns:
            A task that ends when the handlers of the queued events are done, or None if none were queued.

        Raises:
            RuntimeError: events are queued and no event loop is running.
        """
        delivery = self.__delivery
        if not delivery.queue:
            delivery.is_paused = False
            return None
        asyncio.get_running_loop()  # raises before anything has changed
        delivery.is_paused = False
        if delivery.lost:
            _logger.warning("%d events were dropped from the full queue of a paused emitter", delivery.lost)
            delivery.lost = 0
        if self.__drain_task is None or self.__drain_task.done():
            self.__drain_task = delivery.start(delivery.drain())
        return self.__drain_task

    def get_event_history(self, *, event_type: EventType | str | None = None, limit: int = 100) -> list[Event]:
        """Return the last `limit` events, oldest first, of one type or of all.

        The last 1000 are kept. DATAGRAM_RECEIVED and STREAM_* are among them only if somebody listened for them.

        Raises:
            ValueError: a negative limit.
        """
        if limit < 0:
            raise ValueError(f"limit must be at least 0, not {limit}")
        events = [each for each in self.__delivery.history or () if event_type is None or each.type == event_type]
        return [each.event() if isinstance(each, KeptEvent) else each for each in events[max(0, len(events) - limit) :]]

    def clear_history(self) -> None:
        """Forget the events so far."""
        self.__delivery.history = None

    def get_stats(self) -> dict[str, Any]:
        """Return counts of handlers (a `wait_for` counts as a once-handler) and of events kept, and if it is paused."""
        types = self.__table.types()
        every = [each for key in types for each in self.__table.registered(key)]
        wildcard = len(self.__table.registered(EVERY_EVENT))
        once = sum(each.is_once or each.is_waiter for each in every)
        return {
            "total_handlers": len(every) - once - wildcard,
            "total_once_handlers": once,
            "wildcard_handlers": wildcard,
            "event_types": sum(key is not EVERY_EVENT for key in types),
            "history_size": len(self.__delivery.history or ()),
            "queued_events": len(self.__delivery.queue or ()),
            "paused": self.__delivery.is_paused,
        }

    async def close(self) -> None:
        """Remove all handlers, cancel those that run in tasks, and emit nothing from now on.

        A `wait_for` under way raises WebTransportError. A handler that calls this is not cancelled itself. Closing
        twice is no error.
        """
        self.__delivery.is_closed = True
        self.__table.clear()
        self.__delivery.queue = None
        self.__delivery.history = None
        for future in self.__waiting:
            if not future.done():
                future.set_exception(_closed_error())
        await self.__delivery.close()

    def _listener_added(self, event_type: EventType | str | None) -> None:
        """Called after every registration and at the start of every `wait_for`; None stands for every event.

        A no-op here. A session overrides it to deliver what it kept while nobody listened.
        """

    def _release(self, *, event_type: EventType, key: str, handle: object) -> None:
        """Let go of a handle that is over and stands under `key` in the data of an event of this type.

        The history keeps the event, but None in place of its handles: it must not hold a thousand closed connections.
        """
        history = self.__delivery.history
        if history is None:
            return
        for index in range(len(history) - 1, -1, -1):  # from the end, where the short-lived are
            event = history[index]
            if event.type != event_type or isinstance(event, KeptEvent):
                continue
            if isinstance(event.data, dict) and event.data.get(key) is handle:
                data = dict(event.data)
                data.update(dict.fromkeys(_HANDLE_KEYS & data.keys()))
                released = Event._of(event_type, event.timestamp, data, None)
                released.event_id = event.event_id
                history[index] = released
                return

    def __register(self, key: str | None, handler: EventHandler, *, is_once: bool) -> None:
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {handler!r}")
        table = self.__table
        if table.has(key):
            count = 1
            for each in table.registered(key):
                if each.is_waiter:
                    continue
                if each.is_once == is_once and each.handler == handler:
                    _logger.warning("handler %r is already registered for %s", handler, _shown(key))
                    return
                count += 1
            if 0 < self.__max_listeners < count:
                most = self.__max_listeners
                _logger.warning("%d handlers for %s, more than max_listeners (%d)", count, _shown(key), most)
        table.add(key, handler, is_once=is_once)
        self._listener_added(key)

    def __unregister(self, key: str | None, handler: EventHandler | None) -> None:
        for each in self.__table.registered(key):
            if not each.is_waiter and (handler is None or each.handler == handler):
                self.__table.remove(key, each)


def _shown(key: str | None) -> str:
    return "every event" if key is EVERY_EVENT else str(key)


def _nobody(_event: Event) -> None:
    """Stand in for the handler of a wait that is over."""


def _checked(event_type: EventType | str) -> str:
    if not isinstance(event_type, str):
        raise TypeError(f"event_type must be an EventType or a string, not {event_type!r}")
    return event_type


def _closed_error() -> WebTransportError:
    return WebTransportError("The emitter was closed, no event will come")
