"""Who listens: the registrations of one emitter, and the order in which an event meets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import TypeAlias

from .._speedups import Listener
from ..types import EventType
from .event import Event

__all__ = ["EventHandler", "Listener", "ListenerTable"]

EventHandler: TypeAlias = Callable[[Event], Awaitable[None] | None]
"""A function or a coroutine function of one event."""

EVERY_EVENT = None
"""The key under which handlers of every event are registered."""

_order = attrgetter("order")

_WAITERS_FIRST = -1  # before every handler: they only wake a task, and must not wait for a slow handler to end


class ListenerTable:
    """Registrations by event type, and the route of each type: what its events meet, in order.

    Attributes:
        routes: routes made so far; look here first, then call `route`.
    """

    __slots__ = ("_by_type", "_next_order", "routes")

    def __init__(self) -> None:
        self.routes: dict[str, tuple[Listener, ...]] = {}
        self._by_type: dict[str | None, list[Listener]] = {}
        self._next_order = 0

    def route(self, event_type: str) -> tuple[Listener, ...]:
        """Return the listeners of an event type in the order in which they are to be called."""
        found = self.routes.get(event_type)
        if found is None:
            own = self._by_type.get(event_type)
            every = self._by_type.get(EVERY_EVENT)
            if own is None and every is None:
                found = ()
            elif own and every:
                found = tuple(sorted((*own, *every), key=_order))
            elif own and len(own) > 1:
                found = tuple(sorted(own, key=_order))
            else:
                found = tuple(own or every or ())
            # Remembered only for types of a bounded number: a program may make up new names without end.
            if own or isinstance(event_type, EventType):
                self.routes[event_type] = found
        return found

    def has(self, event_type: str | None) -> bool:
        """Tell whether anybody listens for one type, or with `EVERY_EVENT` for every event."""
        return event_type in self._by_type

    def registered(self, event_type: str | None) -> list[Listener]:
        """Return a copy of the listeners of one type, or with `EVERY_EVENT` those of every event."""
        return list(self._by_type.get(event_type, ()))

    def types(self) -> list[str | None]:
        """Return the types that have listeners, `EVERY_EVENT` among them."""
        return list(self._by_type)

    def add_first(self, event_type: EventType, handler: EventHandler) -> bool:
        """Register a handler of a type that has none; False, and nothing has happened, if it has."""
        if event_type in self._by_type:
            return False
        self._by_type[event_type] = [Listener(handler, self._next_order, False, False)]
        self._next_order += 1
        if self.routes:
            self.routes.pop(event_type, None)
        return True

    def add(
        self, event_type: str | None, handler: EventHandler, *, is_once: bool = False, is_waiter: bool = False
    ) -> Listener:
        """Register a handler and return its registration."""
        order = _WAITERS_FIRST if is_waiter else self._next_order
        self._next_order += 1
        listener = Listener(handler, order, is_once, is_waiter)
        listeners = self._by_type.get(event_type)
        if listeners is None:
            self._by_type[event_type] = [listener]
        else:
            listeners.append(listener)
        if self.routes:
            self._forget_routes(event_type)
        return listener

    def remove(self, event_type: str | None, listener: Listener) -> None:
        """Remove a registration; one that is gone already is no error."""
        if not listener.is_active:
            return
        listener.is_active = False
        listeners = self._by_type[event_type]
        listeners.remove(listener)
        if not listeners:
            del self._by_type[event_type]
        self._forget_routes(event_type)

    def clear(self) -> None:
        """Remove every registration."""
        for listeners in self._by_type.values():
            for listener in listeners:
                listener.is_active = False
        self._by_type.clear()
        self.routes.clear()

    def _forget_routes(self, event_type: str | None) -> None:
        if event_type is EVERY_EVENT:
            self.routes.clear()
        else:
            self.routes.pop(event_type, None)
