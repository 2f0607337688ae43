"""Calling the handlers of an event: plain functions inline, coroutines in tasks that are kept until they are done."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from time import time
from typing import Any

from .._speedups import HandlerCaller
from ..types import EventData, EventType
from .event import Event
from .kept import KeptEvent
from .listeners import Listener, ListenerTable

__all__ = ["ONLY_IF_HEARD", "Delivery"]

ONLY_IF_HEARD = frozenset(
    {
        EventType.DATAGRAM_RECEIVED,
        EventType.STREAM_CLOSED,
        EventType.STREAM_DATA_RECEIVED,
        EventType.STREAM_ERROR,
        EventType.STREAM_OPENED,
    }
)
"""One of these comes with every datagram or stream, so they exist only while somebody listens for them."""

_logger = logging.getLogger(__name__)

_FAILED = "handler %r of event %s failed"
_HISTORY_SIZE = 1000  # events; the 0.9 API fixes it
_CLOSE_TIMEOUT = 1.0  # seconds that `close` waits for a cancelled handler that does not end


class Delivery(HandlerCaller):
    """Makes the events of one emitter, keeps and queues them, and runs the handlers.

    A handler that fails is logged, and the next one is called.

    Attributes:
        is_paused: events are queued.
        lost: events that a full queue dropped in this pause.
    """

    __slots__ = ("_max_queued", "_table", "_tasks", "is_paused", "lost")

    def __init__(self, table: ListenerTable) -> None:
        super().__init__(table.routes, Event, EventType)
        self._table = table
        # The loop itself keeps only weak references.
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_paused = False
        self.lost = 0
        self._max_queued = 0

    def admit(self, event_type: EventType | str, data: EventData | None, source: Any) -> Event | None:
        """Make the event and keep it in history; None if there is nothing to deliver now."""
        route = self._table.routes.get(event_type)
        if route is None:
            route = self._table.route(event_type)
        if (not route and event_type in ONLY_IF_HEARD) or self.is_closed:
            return None
        if type(event_type) is EventType:
            event = Event._of(event_type, time(), data, source)
        else:
            event = Event(type=event_type, data=data, source=source)
        (self._begin_history() if self.history is None else self.history).append(event)
        if self.queue is not None and self._postpones(event):
            return None
        return event if route else None

    def emit_kept(self, kept: KeptEvent) -> None:
        """Emit an event that is kept without its handle, and note whether anybody heard it."""
        route = self._table.routes.get(kept.type)
        if route is None:
            route = self._table.route(kept.type)
        kept.is_heard = bool(route)
        if (not route and kept.type in ONLY_IF_HEARD) or self.is_closed:
            return
        (self._begin_history() if self.history is None else self.history).append(kept)
        if route or self.queue is not None:
            event = kept.event()
            if self.queue is None or not self._postpones(event):
                self.deliver(event, route)

    def enter_history(self, event: Event | KeptEvent) -> None:
        """Keep an event that is not to be delivered."""
        (self._begin_history() if self.history is None else self.history).append(event)

    def pause(self, *, max_queued: int) -> None:
        """Queue events from now on; above so many the oldest is dropped."""
        self.is_paused = True
        self._max_queued = max_queued
        if self.queue is None:
            self.queue = deque()

    async def run(self, event: Event) -> None:
        """Call all handlers in the caller's task, and await those that are coroutines."""
        await self._run(self._table.route(event.type), event)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `coroutine` in a task that `close` cancels."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Deliver the queue, and wait for what its coroutine handlers do."""
        tasks = []
        while self.queue and not self.is_paused:
            task = self.deliver(self.queue.popleft())
            if task is not None:
                tasks.append(task)
        if tasks:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Cancel what runs in tasks, except for the caller, and wait for its end."""
        self.release_spare_task()
        if not self._tasks and not self.handling:
            return
        current = asyncio.current_task()
        tasks = [task for task in (*self._tasks, *self.handling.values()) if task is not current and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            done, alive = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT)
            # Those that never began did not do it themselves.
            self._tasks -= done
            self.handling = {run: task for run, task in self.handling.items() if task not in done}
            for task in alive:
                _logger.warning("event handler goes on although it was cancelled: %r", task)

    # What the kernel leaves to this class.

    def _route(self, event_type: str) -> tuple[Listener, ...]:
        return self._table.route(event_type)

    def _remove(self, event_type: str, listener: Listener) -> None:
        self._table.remove(event_type, listener)

    def _log_failure(self, error: Exception, listener: Listener, event: Event) -> None:
        _logger.error(_FAILED, listener.handler, event.type, exc_info=error)

    def _note_failure(self, error: BaseException, listener: Listener, event: Event) -> None:
        _note_failure(error, listener, event)

    def _log_refusal(self, error: Exception, event_type: str) -> None:
        _logger.error("emitting %s failed", event_type, exc_info=error)

    def _begin_history(self) -> deque[Any]:
        history: deque[Any] = deque(maxlen=_HISTORY_SIZE)
        self.history = history
        return history

    def _postpones(self, event: Event) -> bool:
        """Queue an event that comes in a pause, or while the queue of one is worked off, and has to stand in line."""
        queue = self.queue
        if queue is None or not (self.is_paused or queue):
            return False
        if len(queue) >= self._max_queued:
            queue.popleft()
            self.lost += 1
        queue.append(event)
        return True

    async def _run(self, listeners: tuple[Listener, ...], event: Event) -> None:
        for listener in listeners:
            awaitable = self._call(listener, event)
            if awaitable is not None:
                try:
                    await awaitable
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged there
                    _note_failure(error, listener, event)

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


def _note_failure(error: BaseException, listener: Listener, event: Event) -> None:
    """Log what ended a handler; a cancellation of the task that awaited it goes on."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise error
        # Nobody cancelled us: something that the handler waited for was cancelled, which is the handler's failure.
    _logger.error(_FAILED, listener.handler, event.type, exc_info=error)
