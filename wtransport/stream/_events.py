"""The emitter of a handle: what happens once in its life is not missed by whoever asks late.

A session can be over before the program that opened it had a chance to register a handler, and `wait_for` on an
event that can never come again would wait for ever. So an emitter of this kind remembers those events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..events import Event, EventEmitter
from ..types import EventType, Timeout

__all__ = ["HandleEvents"]


class _Past:
    """An event that has happened, for those who come late; `is_heard` once somebody got it."""

    __slots__ = ("event", "is_heard")

    def __init__(self, event: Event, *, is_heard: bool) -> None:
        self.event = event
        self.is_heard = is_heard


class HandleEvents(EventEmitter):
    """Event emitter of a connection, session or stream.

    Args:
        on_listener: called with the event type (None for every event) when somebody begins to listen.
    """

    def __init__(self, *, on_listener: Callable[[str | None], None] | None = None) -> None:
        """Create an emitter without handlers."""
        super().__init__()
        self._on_listener = on_listener
        self._past: dict[str, _Past] = {}

    def emit_once(self, *, event_type: EventType, data: dict[str, Any], source: Any) -> None:
        """Emit an event that cannot happen again, and remember it."""
        event = Event(type=event_type, data=data, source=source)
        self._past[event_type] = _Past(event, is_heard=self.has_listeners(event_type=event_type))
        self.emit_nowait(event_type=event_type, data=data, source=source)

    def remember(self, event: Event) -> None:
        """Take note of an event that happened before this emitter was made, and that nobody heard."""
        self._past[event.type] = _Past(event, is_heard=False)

    async def wait_for(
        self,
        *,
        event_type: EventType | str,
        timeout: Timeout | None = None,
        condition: Callable[[Event], bool] | None = None,
    ) -> Event:
        """Wait for an event, see `EventEmitter.wait_for`; one that cannot come again is returned if it has happened."""
        past = self._past.get(event_type)
        if past is not None and (condition is None or condition(past.event)):
            past.is_heard = True
            return past.event
        return await super().wait_for(event_type=event_type, timeout=timeout, condition=condition)

    def _listener_added(self, event_type: EventType | str | None) -> None:
        if any(
            not past.is_heard and (event_type is None or event_type == past_type)
            for past_type, past in self._past.items()
        ):
            asyncio.get_running_loop().call_soon(self._emit_unheard)
        if self._on_listener is not None:
            self._on_listener(event_type)

    def _emit_unheard(self) -> None:
        """Give those who came late what nobody has heard."""
        for event_type, past in list(self._past.items()):
            if not past.is_heard and self.has_listeners(event_type=event_type):
                past.is_heard = True
                self.emit_nowait(event_type=event_type, data=past.event.data, source=past.event.source)
