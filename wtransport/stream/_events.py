"""The emitter of a handle: what happens once in its life is not missed by whoever asks late.

A session can be over before the program that opened it had a chance to register a handler, and `wait_for` on an
event that can never come again would wait for ever. So an emitter of this kind remembers those events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time
from typing import Any, cast

from ..events import Event, EventEmitter
from ..events.kept import KeptEvent
from ..types import EventType, Timeout

__all__ = ["EventSource", "HandleEvents"]


class HandleEvents(EventEmitter):
    """Event emitter of a connection, session or stream.

    Args:
        on_listener: called with the event type (None for every event) when somebody begins to listen.
    """

    def __init__(self, *, on_listener: Callable[[str | None], None] | None = None) -> None:
        """Create an emitter without handlers."""
        super().__init__()
        self._on_listener = on_listener
        self._past: dict[str, KeptEvent] = {}

    def emit_once(self, *, event_type: EventType, data: dict[str, Any], source: Any) -> None:
        """Emit an event that cannot happen again, and remember it."""
        self._past[event_type] = kept = KeptEvent(event_type, time(), data, source)
        self._emit_kept(kept)

    def emit_kept(self, kept: KeptEvent) -> None:
        """Emit an event that cannot happen again, and remember it."""
        self._past[kept.type] = kept
        self._emit_kept(kept)

    def recall(self, kept: KeptEvent, *, is_once: bool) -> None:
        """Take note of an event of the handle that happened before this emitter was made, so that nobody heard it."""
        if is_once:
            self._past[kept.type] = kept
        self._enter_history(kept)

    def remember(self, event: Event) -> None:
        """Take note of an event that happened before this emitter was made, and that nobody heard."""
        kept = KeptEvent(cast("EventType", event.type), event.timestamp, event.data, event.source, event.event_id)
        self._past[event.type] = kept

    async def wait_for(
        self,
        *,
        event_type: EventType | str,
        timeout: Timeout | None = None,
        condition: Callable[[Event], bool] | None = None,
    ) -> Event:
        """Wait for an event, see `EventEmitter.wait_for`; one that cannot come again is returned if it has happened."""
        past = self._past.get(event_type)
        if past is not None:
            event = past.event()
            if condition is None or condition(event):
                past.is_heard = True
                return event
        return await super().wait_for(event_type=event_type, timeout=timeout, condition=condition)

    def _listener_added(self, event_type: EventType | str | None) -> None:
        if self._past and any(
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
                event = past.event()
                self._emit_kept(KeptEvent(past.type, time(), event.data, event.source))


class EventSource:
    """A handle whose emitter is made when somebody asks for it, with what has happened by then; many never need one.

    A subclass sets `_events` to None and `_told` to an empty list, and says what all of its events have in common, and
    under which name it stands there itself.
    """

    __slots__ = ("_events", "_told")

    _events: HandleEvents | None
    _told: list[tuple[EventType, float, dict[str, Any]]]
    """What happened before there was an emitter: type, time and data, but for the handle itself."""

    _NAMES: tuple[str]
    """What the handle is called in the data of its events."""

    _FORGOTTEN: EventType | None = None
    """The event that is not kept for who comes late; it is in history only."""

    @property
    def events(self) -> EventEmitter:
        """Return the emitter of this handle's events."""
        events = self._events
        if events is None:
            events = self._events = self._new_events()
            told, self._told = self._told, []
            for event_type, timestamp, facts in told:
                kept = self._kept(event_type, timestamp, facts)
                events.recall(kept, is_once=event_type is not self._FORGOTTEN)
        return events

    @property
    def _is_handling(self) -> bool:
        """Tell whether handlers that are coroutines run, or are about to."""
        return self._events is not None and self._events._is_handling

    def _emit_once(self, event_type: EventType, facts: dict[str, Any]) -> None:
        """Emit an event that cannot happen again; `facts` are its data but for the handle itself."""
        if self._events is None:
            self._told.append((event_type, time(), facts))
        else:
            self._events.emit_kept(self._kept(event_type, time(), facts))

    def _kept(self, event_type: EventType, timestamp: float, facts: dict[str, Any]) -> KeptEvent:
        data = self._payload()
        data[self._NAMES[0]] = None
        data.update(facts)
        return KeptEvent(event_type, timestamp, data, self, None, self._NAMES)

    def _new_events(self) -> HandleEvents:
        return HandleEvents()

    def _payload(self) -> dict[str, Any]:
        raise NotImplementedError
