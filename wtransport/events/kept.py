"""`KeptEvent`: an event of a handle, as the handle's own emitter keeps it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..types import EventType
from .event import Event, next_event_id

__all__ = ["KeptEvent"]


class KeptEvent:
    """An event about a handle without the handle, for what belongs to it: history, and what has happened once.

    An event that its source keeps would keep the source in turn, so that every connection and session that is over
    waited for the garbage collector. Whoever asks for the event has the handle, or has no use for it.

    Args:
        event_type: the type.
        timestamp: seconds since the epoch.
        data: the data, in which the handle may stand under some names.
        source: the handle.
        event_id: the id; None takes the next one.
        names: under which names the handle is to stand, where `data` has None; None: look for it there.
    """

    __slots__ = ("_data", "_names", "_source", "event_id", "is_heard", "timestamp", "type")

    def __init__(
        self,
        event_type: EventType,
        timestamp: float,
        data: dict[str, Any],
        source: Any,
        event_id: str | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.type = event_type
        self.timestamp = timestamp
        self.event_id = next_event_id() if event_id is None else event_id
        self.is_heard = False
        """Somebody got it."""
        if names is None:
            names = [name for name, value in data.items() if value is source]
            if names:
                data = {**data, **dict.fromkeys(names)}
        self._names = names
        self._data = data
        try:
            self._source: Callable[[], Any] = weakref.ref(source)
        except TypeError:
            self._source = lambda: source

    def event(self) -> Event:
        """Return the event, with the handle if that is still there."""
        source = self._source()
        data = dict(self._data)
        for name in self._names:
            data[name] = source
        event = Event._of(self.type, self.timestamp, data, source)
        event.event_id = self.event_id
        return event
