"""The events of a QUIC port on their way to those whom they concern."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .datagrams import sort_datagrams

__all__ = ["PortEvents"]


class PortEvents:
    """Takes a port's events one by one: what nearly all packets bring goes straight to its reader or its session.

    Everything else is left to a subclass, which has these methods: ``_on_event(event)``, and ``_on_violation(event,
    violation)`` for what a reader raised. Readers have ``on_data(data, end_stream)``; sessions have ``datagrams``, a
    `DatagramInbox`.

    Args:
        receive_datagrams: takes UDP payloads with their senders' addresses, and the time.
        next_event: returns the port's next event, or None.
        readers: who takes the bytes of a stream, by its id.
        classes: that of the exceptions that a reader raises where the peer broke a rule; that of the events of stream
            bytes, with ``stream_id``, ``data`` and ``end_stream``; that of datagrams, with ``datagrams``, a list of
            bytes. An event of a class derived from these goes to ``_on_event``.

    Attributes:
        sessions: the sessions by their stream id.
        events: what the program is to be told, and has not been yet.
        opens_stream: told the first bytes of a stream that nobody reads; True when it has dealt with them.
        has_failed: the connection is being closed: nothing goes its straight way any more.
        is_closed, datagrams_to_send, deadlines: what a driver asks for with every packet; a subclass sets them.
        now: when something came or was due, in seconds of the port's clock.
    """

    __slots__ = (
        "_datagrams_arrived",
        "_next_event",
        "_readers",
        "_receive_datagrams",
        "_stream_bytes",
        "_violation",
        "datagrams_to_send",
        "deadlines",
        "events",
        "has_failed",
        "is_closed",
        "now",
        "opens_stream",
        "sessions",
    )

    def __init__(
        self,
        receive_datagrams: Callable[[Sequence[tuple[bytes, Any]], float], None],
        next_event: Callable[[], Any],
        readers: dict[int, Any],
        classes: tuple[type[Exception], type[Any], type[Any]],
    ) -> None:
        """Begin with no session, at time 0."""
        self._receive_datagrams = receive_datagrams
        self._next_event = next_event
        self._readers = readers
        self._violation, self._stream_bytes, self._datagrams_arrived = classes
        self.now = 0.0
        self.sessions: dict[int, Any] = {}
        self.events: deque[Any] = deque()
        self.has_failed = False
        self.opens_stream: Callable[[Any], bool] | None = None
        self.is_closed = False
        self.datagrams_to_send: Any = None
        self.deadlines: Any = None

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, Any]], now: float) -> None:
        """Take UDP payloads with their senders' addresses, in the order in which they came."""
        self.now = now
        self._receive_datagrams(datagrams, now)

    def step(self) -> bool:
        """Take one event of the port, which may give events for the program; False when there is none."""
        event = self._next_event()
        if event is None:
            return False
        if not self.has_failed:
            kind = event.__class__
            if kind is self._stream_bytes:
                reader = self._readers.get(event.stream_id)
                try:
                    if reader is not None:
                        reader.on_data(event.data, event.end_stream)
                        return True
                    if self.opens_stream is not None and self.opens_stream(event):
                        return True
                except self._violation as violation:
                    self._on_violation(event, violation)
                    return True
            elif kind is self._datagrams_arrived and not self.events:
                # For one session whose program waits for them, and nothing is to be told before.
                runs = sort_datagrams(event.datagrams)
                if len(runs) == 1:
                    session = self.sessions.get(runs[0][0] << 2)
                    if session is not None:
                        inbox = session.datagrams
                        if inbox.is_open and inbox.announce is not None:
                            if inbox.arrive(runs[0][1]):
                                inbox.announce()
                            return True
        self._on_event(event)
        return True

    # What a subclass has to say.

    def _on_event(self, event: Any) -> None:
        raise NotImplementedError

    def _on_violation(self, event: Any, violation: Any) -> None:
        raise NotImplementedError
