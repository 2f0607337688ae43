"""Identifiers, aliases, state enums and the small protocols that the public API is written in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from enum import StrEnum
from typing import Any, AsyncContextManager, Protocol, TypeAlias, runtime_checkable  # noqa: UP035 - a 0.9 name

__all__ = [
    "URL",
    "Address",
    "AsyncContextManager",
    "AsyncGenerator",
    "AsyncIterator",
    "AuthHandlerProtocol",
    "Buffer",
    "ConnectionId",
    "ConnectionState",
    "Data",
    "ErrorCode",
    "EventData",
    "EventType",
    "Future",
    "Headers",
    "MiddlewareProtocol",
    "Priority",
    "SSLContext",
    "Serializer",
    "SessionId",
    "SessionState",
    "StreamDirection",
    "StreamId",
    "StreamState",
    "Timeout",
    "Timestamp",
    "URLParts",
    "WebTransportProtocol",
    "Weight",
]

Address: TypeAlias = tuple[str, int]
"""Host (name or address) and UDP port."""
Buffer: TypeAlias = bytes | bytearray | memoryview
ConnectionId: TypeAlias = str
Data: TypeAlias = bytes | bytearray | memoryview | str
"""What may be sent; ``str`` is UTF-8 encoded."""
ErrorCode: TypeAlias = int
EventData: TypeAlias = Any
"""Payload of an event: a ``dict`` for the library's own events, anything for a program's."""
Future: TypeAlias = asyncio.Future
Headers: TypeAlias = dict[str, str]
Priority: TypeAlias = int
SSLContext: TypeAlias = ssl.SSLContext
SessionId: TypeAlias = str
StreamId: TypeAlias = int
"""QUIC stream id, 0..2**62-1."""
Timeout: TypeAlias = float | None
"""Seconds; ``None`` waits without end."""
Timestamp: TypeAlias = float
"""Seconds since the epoch, as `time.time` gives them."""
URL: TypeAlias = str
URLParts: TypeAlias = tuple[str, int, str]
"""Host, port, path with query."""
Weight: TypeAlias = int


class ConnectionState(StrEnum):
    """Where a connection is in its life."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSING = "closing"
    DRAINING = "draining"
    CLOSED = "closed"
    FAILED = "failed"


class SessionState(StrEnum):
    """Where a session is in its life."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSING = "closing"
    DRAINING = "draining"
    CLOSED = "closed"


class StreamDirection(StrEnum):
    """What this end may do with a stream."""

    BIDIRECTIONAL = "bidirectional"
    SEND_ONLY = "send_only"
    RECEIVE_ONLY = "receive_only"


class StreamState(StrEnum):
    """Which halves of a stream are still open."""

    OPEN = "open"
    HALF_CLOSED_LOCAL = "half_closed_local"
    HALF_CLOSED_REMOTE = "half_closed_remote"
    CLOSED = "closed"
    RESET_SENT = "reset_sent"
    RESET_RECEIVED = "reset_received"


class EventType(StrEnum):
    """Names of the library's public events."""

    CAPSULE_RECEIVED = "capsule_received"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_ESTABLISHED = "connection_established"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    DATAGRAM_ERROR = "datagram_error"
    DATAGRAM_RECEIVED = "datagram_received"
    DATAGRAM_SENT = "datagram_sent"
    PROTOCOL_ERROR = "protocol_error"
    SESSION_CLOSED = "session_closed"
    SESSION_DATA_BLOCKED = "session_data_blocked"
    SESSION_DRAINING = "session_draining"
    SESSION_MAX_DATA_UPDATED = "session_max_data_updated"
    SESSION_MAX_STREAMS_BIDI_UPDATED = "session_max_streams_bidi_updated"
    SESSION_MAX_STREAMS_UNI_UPDATED = "session_max_streams_uni_updated"
    SESSION_READY = "session_ready"
    SESSION_REQUEST = "session_request"
    SESSION_STREAMS_BLOCKED = "session_streams_blocked"
    SETTINGS_RECEIVED = "settings_received"
    STREAM_CLOSED = "stream_closed"
    STREAM_DATA_RECEIVED = "stream_data_received"
    STREAM_ERROR = "stream_error"
    STREAM_OPENED = "stream_opened"
    TIMEOUT_ERROR = "timeout_error"


@runtime_checkable
class AuthHandlerProtocol(Protocol):
    """Decides from a session's request headers whether it may be opened."""

    async def __call__(self, *, headers: Headers) -> bool:
        """Return True to let the session in."""
        ...


@runtime_checkable
class MiddlewareProtocol(Protocol):
    """Looks at a requested session before its handler does."""

    async def __call__(self, *, session: Any) -> bool:
        """Return True to go on, False to reject the session with status 403."""
        ...


@runtime_checkable
class Serializer(Protocol):
    """Turns objects into bytes and back."""

    def serialize(self, *, obj: Any) -> bytes:
        """Return the bytes for `obj`; raises SerializationError."""
        ...

    def deserialize(self, *, data: bytes, obj_type: Any = None) -> Any:
        """Return the object in `data`, as an `obj_type` if one is given; raises SerializationError."""
        ...


@runtime_checkable
class WebTransportProtocol(Protocol):
    """The asyncio datagram protocol interface, as the transport side of a connection implements it."""

    def connection_made(self, transport: Any) -> None:
        """The socket is ready; `transport` sends on it."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, because of `exc` if not None."""
        ...

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A UDP datagram arrived from `addr`."""
        ...

    def error_received(self, exc: Exception) -> None:
        """The operating system reported an error for an earlier send."""
        ...
