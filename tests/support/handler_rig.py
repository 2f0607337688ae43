"""A caller of handlers for tests of either twin, with a table of its own and the errors it was told of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["A", "Event", "Kind", "Stop", "event", "make_caller", "make_inbox"]


class Kind(str):
    """A type of events."""

    __slots__ = ()


class Event:
    __slots__ = ("data", "source", "timestamp", "type")


class Stop(BaseException):
    """No Exception."""


A = Kind("a")


def event() -> Event:
    """Return an event of type A."""
    made = Event()
    made.type = A
    return made


def make_caller(kernels: ModuleType) -> Any:
    """Return a caller without handlers."""

    class Caller(kernels.HandlerCaller):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.table: dict[str, list[Any]] = {}
            self.routes: dict[str, tuple[Any, ...]] = {}
            self.errors: list[Any] = []
            super().__init__(self.routes, Event, Kind)

        def on(self, *handlers: Callable[[Any], Any], is_once: bool = False) -> list[Any]:
            listeners = [kernels.Listener(handler, 0, is_once, False) for handler in handlers]
            self.table.setdefault(A, []).extend(listeners)
            self.routes.pop(A, None)
            return listeners

        def _route(self, event_type: str) -> tuple[Any, ...]:
            self.routes[event_type] = route = tuple(self.table.get(event_type, ()))
            return route

        def _remove(self, event_type: str, listener: Any) -> None:
            listener.is_active = False
            self.table[event_type].remove(listener)
            self.routes.pop(event_type, None)

        def _log_failure(self, error: Exception, listener: Any, event: Any) -> None:
            self.errors.append(error)

        def _note_failure(self, error: BaseException, listener: Any, event: Any) -> None:
            if isinstance(error, asyncio.CancelledError) and asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise error
            self.errors.append(error)

        def _log_refusal(self, error: Exception, event_type: str) -> None:
            self.errors.append((event_type, error))

        async def _run(self, listeners: tuple[Any, ...], event: Any) -> None:
            for listener in listeners:
                result = listener.handler(event)
                if result is not None:
                    await result

        def _begin_history(self) -> deque[Any]:
            self.history = deque()
            return self.history

        def _postpones(self, event: Any) -> bool:
            self.queue.append(event)
            return True

    return Caller()


def make_inbox(kernels: ModuleType, *datagrams: bytes) -> Any:
    """Return the tap of an inbox with these datagrams."""

    class Inbox(kernels.DatagramTap):  # type: ignore[name-defined,misc]
        def __init__(self, *datagrams: bytes) -> None:
            self.queue = kernels.DatagramInbox(10)
            super().__init__(self.queue)
            self.queue.arrive(list(datagrams))
            self.copies: list[bytes] = []
            self.is_left = False

        def leave_to_reader(self) -> None:
            self.is_left = True

        def _copy(self, data: bytes) -> None:
            self.copies.append(data)

    return Inbox(*datagrams)
