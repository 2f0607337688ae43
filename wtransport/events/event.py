"""`Event`: one thing that happened, as the public API hands it to handlers."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ..exceptions import DatagramError, StreamError, WebTransportError
from ..types import EventData, EventType

__all__ = ["Event"]

_EVENT_TYPES: dict[str, EventType] = {member.value: member for member in EventType}

# Unique ids without the cost of a UUID per event: random once, then a counter.
next_event_id = map(f"{secrets.token_hex(8)}-%d".__mod__, itertools.count(1)).__next__

_new = object.__new__


@dataclass(kw_only=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: an `EventType`, or any string of a program's own; the value of an `EventType` becomes that member.
        timestamp: seconds since the epoch.
        data: a dict for the library's events, see the reference for its keys; anything for a program's.
        source: who emitted it, if it says so.
        event_id: unique, at least within this process.
    """

    type: EventType | str
    timestamp: float = field(default_factory=time.time)
    data: EventData = None  # not `| None`: type checkers would refuse every event.data[...] of a program
    source: Any | None = None
    event_id: str = field(default_factory=next_event_id)

    def __post_init__(self) -> None:
        if type(self.type) is not EventType:
            if not isinstance(self.type, str):
                raise TypeError(f"type must be an EventType or a string, not {self.type!r}")
            self.type = _EVENT_TYPES.get(self.type, self.type)

    @classmethod
    def _of(cls, event_type: EventType, timestamp: float, data: EventData, source: Any) -> Self:
        """Make an event for a handler in a quarter of the time; whoever asks for its id first makes that."""
        event = _new(cls)
        event.type = event_type
        event.timestamp = timestamp
        event.data = data
        event.source = source
        return event

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> str:
            # Only called for what is not there: the id of an event that `_of` made.
            if name != "event_id":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            self.event_id = event_id = next_event_id()
            return event_id

    @classmethod
    def for_connection(cls, *, event_type: EventType, connection_info: dict[str, Any]) -> Self:
        """Make an event about a connection, with `connection_info` as its data."""
        return cls(type=event_type, data=connection_info)

    @classmethod
    def for_datagram(cls, *, event_type: EventType, datagram_info: dict[str, Any]) -> Self:
        """Make an event about a datagram, with `datagram_info` as its data."""
        return cls(type=event_type, data=datagram_info)

    @classmethod
    def for_error(cls, *, error: Exception, source: Any = None) -> Self:
        """Make an error event of the type that suits `error`; its data has at least ``type`` and ``message``."""
        if isinstance(error, TimeoutError):
            event_type = EventType.TIMEOUT_ERROR
        elif isinstance(error, StreamError):
            event_type = EventType.STREAM_ERROR
        elif isinstance(error, DatagramError):
            event_type = EventType.DATAGRAM_ERROR
        else:
            event_type = EventType.PROTOCOL_ERROR
        if isinstance(error, WebTransportError):
            data = error.to_dict()
        else:
            data = {"type": type(error).__name__, "message": str(error)}
        return cls(type=event_type, data=data, source=source)

    @classmethod
    def for_session(cls, *, event_type: EventType, session_info: dict[str, Any]) -> Self:
        """Make an event about a session, with `session_info` as its data."""
        return cls(type=event_type, data=session_info)

    @classmethod
    def for_stream(cls, *, event_type: EventType, stream_info: dict[str, Any]) -> Self:
        """Make an event about a stream, with `stream_info` as its data."""
        return cls(type=event_type, data=stream_info)

    @property
    def is_connection_event(self) -> bool:
        """Whether the type is one of CONNECTION_*."""
        return self.type.startswith("connection_")

    @property
    def is_datagram_event(self) -> bool:
        """Whether the type is one of DATAGRAM_*."""
        return self.type.startswith("datagram_")

    @property
    def is_error_event(self) -> bool:
        """Whether the type is one of those that end in ``_ERROR``."""
        return self.type.endswith("_error")

    @property
    def is_session_event(self) -> bool:
        """Whether the type is one of SESSION_*."""
        return self.type.startswith("session_")

    @property
    def is_stream_event(self) -> bool:
        """Whether the type is one of STREAM_*."""
        return self.type.startswith("stream_")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, the source as text; ``id`` is 0.9's name for ``event_id``."""
        return {
            "id": self.event_id,
            "event_id": self.event_id,
            "type": str(self.type),
            "timestamp": self.timestamp,
            "data": self.data,
            "source": None if self.source is None else str(self.source),
        }
