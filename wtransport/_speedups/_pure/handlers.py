"""Giving events to the handlers of one emitter: plain functions inline, coroutines in tasks."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import time
from types import CoroutineType
from typing import Any

from .datagrams import DatagramTap
from .spare_task import SpareTask

__all__ = ["HandlerCaller", "Listener"]

_new = object.__new__

_EVENTS_WITHOUT_SPARE = 64  # after a handler that waited took the spare task: few of those to come will not wait


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


class HandlerCaller:
    """Makes the events of one emitter, and calls what its table of routes says.

    A route is a tuple of `Listener`. What comes seldom is left to a subclass, which has these methods:
    ``_route(event_type)`` makes a route, ``_remove(event_type, listener)``; ``_log_failure(error, listener, event)`` is
    for a plain function, ``_note_failure(error, listener, event)`` for a coroutine (raises what does not end that
    alone), ``_log_refusal(error, event_type)`` for where no event could be emitted; ``_run(listeners, event)``, a
    coroutine, calls and awaits; ``_begin_history()`` returns the new one, and ``_postpones(event)``, asked where
    `queue` is not None, queues an event or returns False.

    Args:
        routes: routes by event type, as far as they were made; read anew for each event.
        event_class: the class of events, which are made without a call of their constructor: ``type``, ``timestamp``,
            ``data`` and ``source`` are set.
        type_class: the class of the event types for which `emit` does anything.

    Attributes:
        history: the events so far; None before the first.
        queue: what waits in a pause; None when there was none.
        is_closed: no event goes anywhere any more.
        handling: the task of each run of handlers in one.
    """

    __slots__ = (
        "_event_class",
        "_routes",
        "_spare",
        "_type_class",
        "_unbegun",
        "_until_spare",
        "handling",
        "history",
        "is_closed",
        "queue",
    )

    def __init__(self, routes: dict[str, Any], event_class: type[Any], type_class: type[Any]) -> None:
        """Begin with no history."""
        self._routes = routes
        self._event_class = event_class
        self._type_class = type_class
        self.history: deque[Any] | None = None
        self.queue: deque[Any] | None = None
        self.is_closed = False
        self.handling: dict[Any, asyncio.Task[None]] = {}  # the loop itself keeps only weak references
        self._spare: SpareTask | None = None
        self._until_spare = 0  # events without one before another is made; below 0 there are none any more
        self._unbegun: object | None = None  # the last run of handlers in a task, unless it has begun

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
        routes = self._routes
        try:
            while True:
                # Looked up each time: a handler can have been the last one.
                route = routes.get(event_type)
                if not route and not (route := self._route(event_type)):
                    inbox.leave_to_reader()
                    return
                item = inbox.take_for_handlers() if inbox.is_pulled else inbox._queue.pop()
                if item is None:
                    return
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
        except Exception as error:  # noqa: BLE001 - logged there
            self._log_refusal(error, event_type)

    def deliver(self, event: Any, route: tuple[Any, ...] | None = None) -> asyncio.Task[None] | None:
        """Call the plain handlers; return the task that runs the rest, if there is a coroutine among them.

        `route` is what the table says of the event's type, for who has just asked it.

        Raises:
            RuntimeError: there is one, and no event loop is running.
        """
        if route is None and (route := self._routes.get(event.type)) is None:
            route = self._route(event.type)
        return self._give_to(event, route, False)

    def release_spare_task(self) -> None:
        """Let go of the task that stands ready, if there is one: no event will come any more."""
        spare = self._spare
        self._spare = None
        self._until_spare = -1
        if spare is not None:
            spare.retire()

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

    def _go_on(
        self, awaitable: Awaitable[None], listener: Any, route: tuple[Any, ...], event: Any, at_once: bool
    ) -> asyncio.Task[None] | None:
        """Run what a handler left to be awaited, and the handlers after it, in a task."""
        coroutine = awaitable if type(awaitable) is CoroutineType else _waiting_for(awaitable)
        run = HandlerRun(self, coroutine, listener, route[route.index(listener) + 1 :], event)
        if at_once and self._spare is not None and self._begin_at_once(run, self._spare):
            return None
        self._unbegun = run
        try:
            loop = asyncio.get_running_loop()
            task = loop.create_task(run)
        except RuntimeError:
            self._unbegun = None
            coroutine.close()
            raise RuntimeError(f"handler {listener.handler!r} is a coroutine: it needs a running event loop") from None
        if run.caller is not None:  # as it is where tasks begin at once
            self.handling[run] = task
        if at_once:
            self._consider_spare(loop)
        return task

    def _begin_at_once(self, run: HandlerRun, spare: SpareTask) -> bool:
        if self._unbegun is not None:  # it was there before this one
            return False
        has_begun = spare.begin(run)
        if self._spare is not spare:  # released by a handler
            spare.retire()
        elif spare.is_used_up:
            self._spare = None
            self._until_spare = -1 if spare.is_over else _EVENTS_WITHOUT_SPARE
        if has_begun and run.caller is not None:
            self.handling[run] = spare.task
        return has_begun

    def _consider_spare(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._until_spare > 0:
            self._until_spare -= 1
        elif self._until_spare == 0 and self._spare is None:
            if SpareTask.is_possible(loop):
                self._spare = SpareTask(loop)
            else:
                self._until_spare = -1

    # What a subclass has to say.

    def _route(self, event_type: str) -> tuple[Any, ...]:
        raise NotImplementedError

    def _remove(self, event_type: str, listener: Any) -> None:
        raise NotImplementedError

    def _log_failure(self, error: Exception, listener: Any, event: Any) -> None:
        raise NotImplementedError

    def _note_failure(self, error: BaseException, listener: Any, event: Any) -> None:
        raise NotImplementedError

    def _log_refusal(self, error: Exception, event_type: str) -> None:
        raise NotImplementedError

    async def _run(self, listeners: tuple[Any, ...], event: Any) -> None:
        raise NotImplementedError

    def _begin_history(self) -> deque[Any]:
        raise NotImplementedError

    def _postpones(self, event: Any) -> bool:
        raise NotImplementedError


async def _waiting_for(awaitable: Awaitable[None]) -> None:
    await awaitable


class HandlerRun:
    """The coroutine of a task: awaits what a handler left, then runs the handlers after it.

    Between the task and a handler's own coroutine there is no other. What tools ask of a coroutine (its name, code and
    frame) is that of the handler's.
    """

    __slots__ = ("_coroutine", "_event", "_listener", "_rest", "caller")

    def __init__(
        self,
        caller: HandlerCaller,
        coroutine: Coroutine[Any, Any, None],
        listener: Any,
        rest: tuple[Any, ...],
        event: Any,
    ) -> None:
        self.caller: HandlerCaller | None = caller  # None once it is over
        self._coroutine = coroutine
        self._listener = listener  # None once its coroutine is over
        self._rest = rest
        self._event = event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, None]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Go on to the next thing to wait for."""
        if self.caller is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self._begin()
        try:
            return self._coroutine.send(value)
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again there unless it ends the handler alone
            self._failed(error)
        return self._go_on()

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        """Raise an exception where the handler waits, and go on to the next thing to wait for."""
        if value is not None or traceback is not None:
            error = (error() if value is None else value).with_traceback(traceback)
        self._begin()
        try:
            return self._coroutine.throw(error)
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - raised again there unless it ends the handler alone
            self._failed(raised)
        return self._go_on()

    def close(self) -> None:
        """Give up the handler and those after it."""
        self._begin()
        try:
            self._coroutine.close()
        finally:
            self._leave()

    def _begin(self) -> None:
        if self.caller is not None and self.caller._unbegun is self:
            self.caller._unbegun = None

    def _failed(self, error: BaseException) -> None:
        """Have the end of a handler noted; what does not end it alone is raised again."""
        try:
            if self._listener is None or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise error
            self.caller._note_failure(error, self._listener, self._event)  # type: ignore[union-attr]  # not over yet
        except BaseException:
            self._leave()
            raise

    def _go_on(self) -> Any:
        """Begin with the handlers that are left, after the one that is over."""
        if not self._rest:
            self._leave()
            raise StopIteration
        self._coroutine = self.caller._run(self._rest, self._event)  # type: ignore[union-attr]
        self._listener = None
        self._rest = ()
        return self.send(None)

    def _leave(self) -> None:
        # By itself: a callback of the task would be a turn of the loop more for every event.
        caller = self.caller
        if caller is not None:
            self.caller = None
            caller.handling.pop(self, None)
