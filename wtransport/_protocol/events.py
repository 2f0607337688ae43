"""What the engine tells the handles: one small class per thing that can happen.

Events carry the engine's own objects (`SessionCore`, `StreamCore`), so that nobody looks anything up by id. Those that
every stream brings are made by a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .._speedups import StreamSignal

if TYPE_CHECKING:
    from .session import SessionCore
    from .stream import StreamCore

__all__ = [
    "ConnectionClosed",
    "ConnectionReady",
    "CreditKind",
    "DatagramsReceived",
    "DatagramsWritable",
    "EngineEvent",
    "GoawayReceived",
    "SessionBlocked",
    "SessionCreditRaised",
    "SessionDraining",
    "SessionEnded",
    "SessionOpened",
    "SessionRejected",
    "SessionRequested",
    "StreamCreditAvailable",
    "StreamFinished",
    "StreamOpened",
    "StreamReadable",
    "StreamWritable",
]

CreditKind: TypeAlias = Literal["data", "bidi", "uni"]


@dataclass(frozen=True, slots=True)
class ConnectionReady:
    """The peer's SETTINGS arrived and a draft is in force: sessions may be opened."""


class ConnectionClosed(NamedTuple):
    """The connection is over; every session and stream ended before this. `by_peer` tells who began it.

    `is_application` tells an HTTP/3 or application code (CONNECTION_CLOSE 0x1d) from a QUIC one (0x1c). `timed_out`
    says that the peer fell silent, `open_sessions` how many sessions that were open ended with the connection.
    """

    error_code: int
    reason: str
    by_peer: bool
    is_application: bool
    timed_out: bool = False
    open_sessions: int = 0


@dataclass(frozen=True, slots=True)
class GoawayReceived:
    """The peer wants no new sessions on this connection (RFC 9114, 5.2)."""


@dataclass(frozen=True, slots=True)
class SessionRequested:
    """Server: a CONNECT arrived and waits for `accept` or `reject`."""

    session: SessionCore


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """Client: the server accepted."""

    session: SessionCore


@dataclass(frozen=True, slots=True)
class SessionRejected:
    """Client: the server refused with `status`, or (None) gave no answer at all."""

    session: SessionCore
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class SessionDraining:
    """The peer asks to wind the session down (DRAIN capsule, or GOAWAY)."""

    session: SessionCore


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over; why is in its `close_code`, `close_reason`, `ended_by_peer` and `end_error`."""

    session: SessionCore


@dataclass(frozen=True, slots=True)
class SessionCreditRaised:
    """The peer raised what we may send or open in the session."""

    session: SessionCore
    kind: CreditKind


@dataclass(frozen=True, slots=True)
class SessionBlocked:
    """The peer says that our limit holds it back."""

    session: SessionCore
    kind: CreditKind


@dataclass(frozen=True, slots=True)
class StreamCreditAvailable:
    """`SessionCore.open_stream` returned None before and may succeed now."""

    session: SessionCore


class StreamOpened(StreamSignal):
    """The peer opened a stream."""

    __slots__ = ()

    stream: StreamCore


class StreamReadable(StreamSignal):
    """Bytes, the FIN or an error came for a stream whose `wants_readable` was set; it was cleared."""

    __slots__ = ()

    stream: StreamCore


class StreamWritable(StreamSignal):
    """The unsent bytes of a stream whose `wants_writable` was set fell to the mark, or it ended; it was cleared."""

    __slots__ = ()

    stream: StreamCore


class StreamFinished(StreamSignal):
    """Both directions of a stream are over; the engine no longer knows it."""

    __slots__ = ()

    stream: StreamCore


@dataclass(frozen=True, slots=True)
class DatagramsReceived:
    """The session's queue of received datagrams stopped being empty."""

    session: SessionCore


@dataclass(frozen=True, slots=True)
class DatagramsWritable:
    """`SessionCore.send_datagram` returned False before and may succeed now."""

    session: SessionCore


EngineEvent: TypeAlias = (
    ConnectionReady
    | ConnectionClosed
    | GoawayReceived
    | SessionRequested
    | SessionOpened
    | SessionRejected
    | SessionDraining
    | SessionEnded
    | SessionCreditRaised
    | SessionBlocked
    | StreamCreditAvailable
    | StreamOpened
    | StreamReadable
    | StreamWritable
    | StreamFinished
    | DatagramsReceived
    | DatagramsWritable
)
