"""What the three stream handles share: identity, state, events, and the wake-ups that the connection passes on.

A handle owns no stream state. The rules live in the engine's `StreamCore`; a handle adds waiting, time-outs, the
public events, and the checks that only matter to a program (one reader at a time, room to write).
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .._speedups import StreamHandle
from ..constants import MAX_APPLICATION_ERROR_CODE, ErrorCodes
from ..events import Event, EventEmitter
from ..exceptions import StreamError
from ..types import EventType, StreamDirection, StreamId, StreamState
from ._events import HandleEvents
from ._waiter import WaitLine
from .diagnostics import StreamDiagnostics

if TYPE_CHECKING:
    from .._protocol.stream import StreamCore
    from ..session import WebTransportSession

__all__ = ["_BaseStream"]


_UNABORTED = frozenset({StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL, StreamState.HALF_CLOSED_REMOTE})


def checked_code(error_code: int) -> int:
    """Return `error_code` if a program may give it to the peer; raise otherwise."""
    if not isinstance(error_code, int):
        raise TypeError(f"error_code must be an int, not {type(error_code).__name__}")
    if not 0 <= error_code <= MAX_APPLICATION_ERROR_CODE:
        raise ValueError(f"error_code must be in 0..2**32-1, not {error_code}")
    return int(error_code)


def code_of_exception(exception: BaseException) -> int:
    """Return the code that tells the peer of an exception: its own `error_code` if it has a usable one."""
    code = getattr(exception, "error_code", None)  # a program's own exceptions may have one as well
    if isinstance(code, int) and 0 <= code <= MAX_APPLICATION_ERROR_CODE:
        return int(code)
    return int(ErrorCodes.APPLICATION_ERROR)


class _BaseStream(StreamHandle):
    """One stream, seen from a program. Made by the session, never by a program's own hand."""

    __slots__ = ("__weakref__",)

    _DIRECTION: ClassVar[StreamDirection]
    _session: WebTransportSession
    _core: StreamCore
    _events: HandleEvents | None
    _writers: WaitLine | None

    def __init__(self, *, session: WebTransportSession, stream_id: StreamId) -> None:
        """Make the handle of a stream that the engine knows and that has no handle yet.

        Args:
            session: the session of the stream.
            stream_id: its QUIC stream id.

        Raises:
            StreamError: the session has no such stream, it runs in another direction, or it has a handle.
        """
        core = session._core.streams.get(stream_id)
        if core is None:
            raise StreamError(f"session has no stream {stream_id}", stream_id=stream_id)
        if core.direction is not self._DIRECTION:
            raise StreamError(f"stream {stream_id} is {core.direction}, not {self._DIRECTION}", stream_id=stream_id)
        if core.handle is not None:
            raise StreamError(f"stream {stream_id} has a handle already", stream_id=stream_id)
        self._bind(session, core)
        core.take()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream_id} {self.state}>"

    @property
    def stream_id(self) -> StreamId:
        """Return the QUIC stream id."""
        return self._core.stream_id

    @property
    def session(self) -> WebTransportSession:
        """Return the session of this stream."""
        return self._session

    @property
    def direction(self) -> StreamDirection:
        """Return which ways data may flow, seen from here."""
        return self._DIRECTION

    @property
    def state(self) -> StreamState:
        """Return the state of the stream; a stream closed here is CLOSED, whatever the peer still has to answer."""
        state = self._core.state
        if state in _UNABORTED and self.is_closed:
            return StreamState.CLOSED
        return state

    @property
    def is_closed(self) -> bool:
        """Tell whether the stream is over: nothing can be sent, and nothing more can be read."""
        core = self._core
        if core.can_send or core.buffered:
            return False
        return core.receiving_over or core.receive_error is not None

    @property
    def events(self) -> EventEmitter:
        """Return the emitter of this stream's events: STREAM_OPENED and STREAM_CLOSED."""
        events = self._events
        if events is None:
            events = self._events = HandleEvents()
            if self._closed_at is not None:
                events.remember(
                    Event(
                        type=EventType.STREAM_CLOSED,
                        timestamp=self._closed_at,
                        data=self._closed_payload(),
                        source=self,
                    )
                )
        return events

    async def diagnostics(self) -> StreamDiagnostics:
        """Return a snapshot of the stream."""
        core = self._core
        error = core.receive_error or core.send_error
        writers = self._writers
        waiting = [] if writers is None else zip(writers.subjects, writers.futures, strict=True)
        return StreamDiagnostics(
            stream_id=core.stream_id,
            session_id=self._session.session_id,
            direction=self._DIRECTION,
            state=self.state,
            created_at=self._created_at,
            bytes_sent=core.bytes_sent,
            bytes_received=core.bytes_received,
            read_buffer=core.peek(),
            read_buffer_size=core.buffered,
            pending_read_requests=[] if self._reader_future is None else [self._reader_future],
            write_buffer=[(data, future, end_stream) for (data, end_stream), future in waiting],
            close_code=core.reset_code if core.reset_code is not None else core.stop_code,
            close_reason=None if error is None else error.message,
            closed_at=self._closed_at,
            bytes_dropped=core.bytes_dropped,
            bytes_discarded=core.bytes_discarded,
            bytes_unsent=core.bytes_unsent,
        )

    async def __aenter__(self) -> Self:
        """Enter the block that ends with the stream closed."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the stream; after an exception abort it, with the exception's `error_code` if it has one."""
        if exc_val is None:
            self._close()
        else:
            self._abort(code_of_exception(exc_val))

    def _close(self) -> None:
        """End the sides of this stream in order."""
        raise NotImplementedError

    def _abort(self, error_code: int) -> None:
        """Abort the sides of this stream."""
        raise NotImplementedError

    def _closed_payload(self) -> dict[str, Any]:
        return {"stream": self, "stream_id": self.stream_id}

    def _opened_payload(self) -> dict[str, Any]:
        """Return the data of STREAM_OPENED, here and on the session."""
        return {
            "stream": self,
            "stream_id": self._core.stream_id,
            "session_id": self._session._session_id,
            "direction": self._DIRECTION,
        }

    def _on_announced(self) -> None:
        """The session has told its handlers of this new stream."""
        if self._events is not None:
            self._events.emit_nowait(event_type=EventType.STREAM_OPENED, data=self._opened_payload(), source=self)

    def _on_writable(self) -> None:
        """There is room while a writer waits, or the sending side is over."""
        if self._writers is not None:
            if self._core.can_send:
                self._writers.wake_first()
            else:
                self._writers.wake_all()

    def _tell_closed(self) -> None:
        """Emit STREAM_CLOSED to whoever asked for the events."""
        if self._events is not None:
            self._events.emit_once(event_type=EventType.STREAM_CLOSED, data=self._closed_payload(), source=self)
