"""The emitter of a handle: events that happen once in its life are not missed by whoever asks late.

A session can be over before the program that opened it had a chance to register a handler, and `wait_for` on an
event that can never come again would wait for ever. So an emitter of this kind remembers those events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..events import Event, EventEmitter
from ..types import EventType, Timeout
from ..utils import get_timestamp

__all__ = ["HandleEvents"]


@dataclass(slots=True)
class _Past:
    """An event that has happened, for those who come late; `is_heard` once a handler got it."""

    data: dict[str, Any]
    source: Any
    timestamp: float
    is_heard: bool


class HandleEvents(EventEmitter):
    """Event emitter of a connection, session or stream.

    Args:
        on_listener: called with the event type (None for a handler of all events) when a handler is registered.
    """

    def __init__(self, *, on_listener: Callable[[EventType | str | None], None] | None = None) -> None:
        """Create an emitter without handlers."""
        super().__init__()
        self._on_listener = on_listener
        self._past: dict[str, _Past] = {}

    def emit_once(self, *, event_type: EventType, data: dict[str, Any], source: Any) -> None:
        """Emit an event that cannot happen again, and remember it."""
        is_heard = self.has_listeners(event_type=event_type)
        self._past[event_type] = _Past(data, source, get_timestamp(), is_heard)
        self.emit_nowait(event_type=event_type, data=data, source=source)

    def remember(self, *, event_type: EventType, data: dict[str, Any], source: Any) -> None:
        """Take note of an event that happened before this emitter was made."""
        self._past[event_type] = _Past(data, source, get_timestamp(), False)

    async def wait_for(
        self,
        *,
        event_type: EventType | str,
        timeout: Timeout | None = None,
        condition: Callable[[Event], bool] | None = None,
    ) -> Event:
        """Wait for an event, see `EventEmitter.wait_for`; one that happened and cannot come again is returned at once."""
        past = self._past.get(event_type)
        if past is not None:
            event = Event(type=event_type, timestamp=past.timestamp, data=past.data, source=past.source)
            if condition is None or condition(event):
                past.is_heard = True
                return event
        return await super().wait_for(event_type=event_type, timeout=timeout, condition=condition)

    def _listener_added(self, event_type: EventType | str | None) -> None:
        super()._listener_added(event_type)
        if self._past and any(
            not past.is_heard and (event_type is None or event_type == past_type)
            for past_type, past in self._past.items()
        ):
            asyncio.get_running_loop().call_soon(self._emit_unheard)
        if self._on_listener is not None:
            self._on_listener(event_type)

    def _emit_unheard(self) -> None:
        """Give the handlers that came late what nobody has heard."""
        for event_type, past in list(self._past.items()):
            if not past.is_heard and self.has_listeners(event_type=event_type):
                past.is_heard = True
                self.emit_nowait(event_type=event_type, data=past.data, source=past.source)
