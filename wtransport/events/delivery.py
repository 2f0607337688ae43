"""Calling the handlers of an event: plain functions inline, coroutines in tasks that are kept until they are done."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Coroutine
from types import CoroutineType
from typing import Any

from .event import Event
from .listeners import Listener, ListenerTable

__all__ = ["Delivery"]

_logger = logging.getLogger(__name__)

_FAILED = "handler %r of event %s failed"
_CLOSE_TIMEOUT = 1.0  # seconds that `close` waits for a cancelled handler that does not end


class Delivery:
    """Runs handlers for one emitter. A handler that fails is logged, and the next one is called."""

    def __init__(self, table: ListenerTable) -> None:
        self._table = table
        # The loop itself keeps only weak references.
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling: dict[int, asyncio.Task[None]] = {}  # by number, as a task does not know itself for free
        self._events_handled = 0

    def deliver(self, event: Event, route: tuple[Listener, ...] | None = None) -> asyncio.Task[None] | None:
        """Call the plain handlers; return the task that runs the rest, if there is a coroutine among them.

        `route` is what the table says of the event's type, for who has just asked it.

        Raises:
            RuntimeError: there is one, and no event loop is running.
        """
        if route is None and (route := self._table.routes.get(event.type)) is None:
            route = self._table.route(event.type)
        for listener in route:
            # As `_call` does it, which would be a call more for every event.
            if not listener.is_active:
                continue
            if listener.is_once:
                self._table.remove(event.type, listener)
            try:
                result = listener.handler(event)
            except Exception:
                _logger.exception(_FAILED, listener.handler, event.type)
                continue
            if result is not None and (type(result) is CoroutineType or inspect.isawaitable(result)):
                return self._go_on(result, listener, route, event)
        return None

    def _go_on(
        self, awaitable: Awaitable[None], listener: Listener, route: tuple[Listener, ...], event: Event
    ) -> asyncio.Task[None]:
        """Run what a handler left to be awaited, and the handlers after it, in a task."""
        self._events_handled = number = self._events_handled + 1
        rest = route[route.index(listener) + 1 :]
        try:
            task: asyncio.Task[None] = asyncio.get_running_loop().create_task(
                self._run_from(number, awaitable, listener, rest, event)
            )
        except RuntimeError:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError(f"handler {listener.handler!r} is a coroutine: it needs a running event loop") from None
        self._handling[number] = task
        return task

    async def run(self, event: Event) -> None:
        """Call all handlers in the caller's task, and await those that are coroutines."""
        await self._run(self._table.route(event.type), event)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `coroutine` in a task that `close` cancels."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel what runs in tasks, except for the caller, and wait for its end."""
        current = asyncio.current_task()
        tasks = [task for task in (*self._tasks, *self._handling.values()) if task is not current and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            done, alive = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT)
            # Those that never began did not do it themselves.
            self._tasks -= done
            self._handling = {number: task for number, task in self._handling.items() if task not in done}
            for task in alive:
                _logger.warning("event handler goes on although it was cancelled: %r", task)

    def _call(self, listener: Listener, event: Event) -> Awaitable[None] | None:
        """Call one handler, unless it is removed by now; return what it left to be awaited."""
        if not listener.is_active:
            return None
        if listener.is_once:
            self._table.remove(event.type, listener)
        try:
            result = listener.handler(event)
        except Exception:
            _logger.exception(_FAILED, listener.handler, event.type)
            return None
        return result if result is not None and inspect.isawaitable(result) else None

    async def _run_from(
        self, number: int, awaitable: Awaitable[None], listener: Listener, rest: tuple[Listener, ...], event: Event
    ) -> None:
        # Leaves the table by itself: a callback of the task would be a turn of the loop more for every event.
        try:
            try:
                await awaitable
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
                _note_failure(error, listener, event)
            if rest:
                await self._run(rest, event)
        finally:
            self._handling.pop(number, None)

    async def _run(self, listeners: tuple[Listener, ...], event: Event) -> None:
        for listener in listeners:
            awaitable = self._call(listener, event)
            if awaitable is not None:
                try:
                    await awaitable
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
                    _note_failure(error, listener, event)


def _note_failure(error: BaseException, listener: Listener, event: Event) -> None:
    """Log what ended a handler; a cancellation of the task that awaited it goes on."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise error
        # Nobody cancelled us: something that the handler waited for was cancelled, which is the handler's failure.
    _logger.error(_FAILED, listener.handler, event.type, exc_info=error)
