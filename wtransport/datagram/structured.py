"""Typed objects in datagrams: a 2-byte big-endian type id, then the payload that a serializer made."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from typing import Any

from ..events import Event
from ..exceptions import SerializationError, SessionError, TimeoutError
from ..serializer._registry import TypeRegistry
from ..session import WebTransportSession
from ..stream._messages import is_worth_a_line
from ..stream._waiter import WaitLine, timed_out
from ..types import EventType, Serializer

__all__ = ["StructuredDatagramTransport"]

_HEADER = struct.Struct("!H")
_MAX_BURST = 1024  # objects that are kept for a receiver that waits, whatever the queue's size

_logger = logging.getLogger(__name__)


class StructuredDatagramTransport:
    """Sends and receives objects of registered classes, each in a datagram of its own.

    Datagrams are lost now and then, and may overtake each other. `initialize` begins to receive, `close` ends it; the
    session stays open.

    Args:
        session: the session whose datagrams are used. Its other receivers get them as well.
        serializer: turns objects into payloads and back; the peer needs the same.
        registry: class by type id, 0..65535; the peer needs the same.

    Raises:
        ConfigurationError: a class has two ids in the registry, or an id is out of range.
    """

    def __init__(self, *, session: WebTransportSession, serializer: Serializer, registry: dict[int, type[Any]]) -> None:
        self._session = session
        self._serializer = serializer
        self._registry = TypeRegistry(registry)
        self._queue: deque[tuple[type[Any], bytes]] = deque()
        self._queue_size = 0
        self._receivers = WaitLine()
        self._is_initialized = False
        self._is_closed = False
        self._dropped = 0
        self._refused = 0

    def __repr__(self) -> str:
        return f"<StructuredDatagramTransport {self._session!r}>"

    @property
    def is_closed(self) -> bool:
        """Tell whether this transport was closed, or its session is over."""
        return self._is_closed or self._session.is_closed

    @property
    def dropped(self) -> int:
        """Return how many objects arrived while the queue was full, and are lost."""
        return self._dropped

    async def initialize(self, *, queue_size: int = 100) -> None:
        """Begin to receive. A second time changes nothing.

        Args:
            queue_size: objects to keep for `receive_obj`; when there are so many, new ones are dropped and counted.

        Raises:
            SessionError: this transport or its session is closed.
            ValueError: queue_size is not positive.
        """
        if queue_size < 1:
            raise ValueError(f"queue_size must be at least 1, not {queue_size}")
        if self.is_closed:
            raise self._closed()
        if self._is_initialized:
            return
        self._is_initialized = True
        self._queue_size = queue_size
        events = self._session.events
        events.once(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)
        events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=self._on_datagram)

    async def send_obj(self, *, obj: Any) -> None:
        """Send an object; see `WebTransportSession.send_datagram`.

        Raises:
            DatagramError: it is larger than a datagram can be; a ValueError, too.
            SerializationError: its class is not registered, or it cannot be serialized.
            SessionError: this transport is not initialized, or it or its session is closed.
            TimeoutError: the outgoing queue had no room for `write_timeout` seconds.
        """
        self._check_usable()
        type_id = self._registry.id_of(obj)
        await self._session.send_datagram(data=_HEADER.pack(type_id) + self._serializer.serialize(obj=obj))

    async def receive_obj(self, *, timeout: float | None = None) -> Any:
        """Return the next object; what cannot be deserialized is logged and passed over.

        Args:
            timeout: seconds to wait; None waits until one comes or the session ends.

        Raises:
            SessionError: this transport is not initialized or was closed, or its session is over and nothing is left.
            TimeoutError: none came in time.
        """
        if not self._is_initialized:
            self._check_usable()
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            found = None if self._receivers else self._take()
            if found is None:
                seconds = None if deadline is None else deadline - loop.time()
                found = await self._receivers.until(self._take, seconds=seconds)
            if found is None:
                raise self._timed_out(timeout)
            kind, payload = found
            try:
                return self._serializer.deserialize(data=payload, obj_type=kind)
            except SerializationError as error:
                self._refuse(error)

    async def close(self) -> None:
        """Receive no more; whoever waits for an object gets SessionError. Closing twice is no error."""
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.clear()
        events = self._session.events
        events.off(event_type=EventType.DATAGRAM_RECEIVED, handler=self._on_datagram)
        events.off(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)
        self._receivers.wake_all()

    def _on_datagram(self, event: Event) -> None:
        data: bytes = event.data["data"]
        try:
            if len(data) < _HEADER.size:
                raise SerializationError(f"datagram of {len(data)} bytes has no type id")
            kind = self._registry.type_of(_HEADER.unpack_from(data)[0])
        except SerializationError as error:
            self._refuse(error)
            return
        # A burst arrives at once, before a receiver that waits gets its turn: it is not slow for that.
        most = max(self._queue_size, _MAX_BURST) if self._receivers else self._queue_size
        if len(self._queue) >= most:
            self._dropped += 1
            if is_worth_a_line(self._dropped):
                _logger.warning("%r: queue is full, %d objects dropped so far", self, self._dropped)
            return
        self._queue.append((kind, data[_HEADER.size :]))
        self._receivers.wake_first()

    def _on_session_closed(self, event: Event) -> None:
        self._receivers.wake_all()

    def _take(self) -> tuple[type[Any], bytes] | None:
        if self._queue:
            return self._queue.popleft()
        if self.is_closed:
            raise self._closed()
        return None

    def _refuse(self, error: SerializationError) -> None:
        self._refused += 1
        if is_worth_a_line(self._refused):
            _logger.warning("%r: %d datagrams refused so far, the last: %s", self, self._refused, error)

    def _check_usable(self) -> None:
        if self.is_closed:
            raise self._closed()
        if not self._is_initialized:
            raise SessionError("structured datagrams need initialize() first", session_id=self._session.session_id)

    def _closed(self) -> SessionError:
        what = "this transport" if self._is_closed else "the session"
        return SessionError(f"{what} is closed", session_id=self._session.session_id, session_state=self._session.state)

    def _timed_out(self, timeout: float | None) -> TimeoutError:
        return timed_out("receive_obj", timeout, session_id=self._session.session_id)
