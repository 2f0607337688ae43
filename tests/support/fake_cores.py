"""Cores without an engine: what a stream handle finds below it, under a test's full control."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wtransport.config import ClientConfig
from wtransport.exceptions import StreamError
from wtransport.stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream
from wtransport.types import StreamDirection, StreamState

__all__ = ["FakeSession", "FakeStreamCore", "make_stream"]

_HANDLES: dict[StreamDirection, Any] = {
    StreamDirection.BIDIRECTIONAL: WebTransportStream,
    StreamDirection.RECEIVE_ONLY: WebTransportReceiveStream,
    StreamDirection.SEND_ONLY: WebTransportSendStream,
}


@dataclass
class FakeStreamCore:
    """The stream that a handle sits on: bytes come by `arrive`, leave by `drain`."""

    direction: StreamDirection = StreamDirection.BIDIRECTIONAL
    stream_id: int = 4
    session: Any = None
    is_local: bool = False
    handle: Any = None
    wants_readable: bool = False
    wants_writable: bool = False
    bytes_sent: int = 0
    bytes_received: int = 0
    bytes_dropped: int = 0
    bytes_discarded: int = 0
    bytes_unsent: int = 0
    reset_code: int | None = None
    stop_code: int | None = None
    send_error: StreamError | None = None
    receive_error: StreamError | None = None
    receiving_over: bool = False
    can_send: bool = True
    state: StreamState = StreamState.OPEN
    unsent: int = 0
    low_water: int | None = None
    inbox: bytearray = field(default_factory=bytearray)
    expected: list[int] = field(default_factory=list)
    written: list[tuple[bytes, bool]] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    is_taken: bool = False
    stops: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.direction is StreamDirection.SEND_ONLY:
            self.receiving_over = True
        if self.direction is StreamDirection.RECEIVE_ONLY:
            self.can_send = False

    def take(self) -> None:
        self.is_taken = True

    # What the peer does.

    def arrive(self, data: bytes = b"", *, end_stream: bool = False) -> None:
        self.inbox += data
        self.bytes_received += len(data)
        self.receiving_over = self.receiving_over or end_stream
        self._wake_reader()

    def fail_reading(self, code: int) -> None:
        self.reset_code = code
        self.receive_error = StreamError("reset", stream_id=self.stream_id, application_code=code)
        self.receiving_over = True
        self.state = StreamState.RESET_RECEIVED
        self._wake_reader()

    def fail_writing(self, code: int) -> None:
        self.stop_code = code
        self.send_error = StreamError("stopped", stream_id=self.stream_id, application_code=code)
        self.can_send = False
        self.state = StreamState.RESET_SENT
        self._wake_writer()

    def drain(self, nbytes: int) -> None:
        self.unsent -= nbytes
        if self.low_water is not None and self.unsent <= self.low_water:
            self._wake_writer()

    def _wake_reader(self) -> None:
        if self.wants_readable:
            self.wants_readable = False
            self.handle._on_readable()

    def _wake_writer(self) -> None:
        if self.wants_writable:
            self.wants_writable = False
            self.low_water = None
            self.handle._on_writable()

    # What the handle does.

    @property
    def buffered(self) -> int:
        return len(self.inbox)

    @property
    def can_receive(self) -> bool:
        return not self.receiving_over or bool(self.inbox)

    def peek(self) -> bytes:
        return bytes(self.inbox)

    def find(self, separator: bytes, start: int = 0) -> int:
        return self.inbox.find(separator, start)

    def expect(self, nbytes: int) -> None:
        self.expected.append(nbytes)

    def read(self, max_bytes: int = -1) -> bytes | None:
        if self.inbox:
            size = len(self.inbox) if max_bytes == -1 else max_bytes
            data = bytes(self.inbox[:size])
            del self.inbox[:size]
            return data
        if self.receive_error is not None:
            raise self.receive_error
        return b"" if self.receiving_over else None

    def write(self, data: bytes, *, end_stream: bool = False) -> None:
        if not self.can_send:
            raise AssertionError("the handle writes where it must not")
        self.written.append((data, end_stream))
        self.bytes_sent += len(data)
        self.unsent += len(data)
        self.can_send = not end_stream

    def watch_writable(self, low_water: int) -> None:
        self.wants_writable = True
        self.low_water = low_water

    def reset(self, code: int) -> None:
        self.resets.append(code)
        if self.can_send:
            self.can_send = False
            self.state = StreamState.RESET_SENT

    def stop(self, code: int) -> None:
        self.stops.append(code)
        self.inbox.clear()
        if not self.receiving_over and self.receive_error is None:
            self.receive_error = StreamError("reading was stopped here", stream_id=self.stream_id)


@dataclass
class FakeSessionCore:
    streams: dict[int, FakeStreamCore] = field(default_factory=dict)


class FakeSession:
    """As much of a session as its streams need."""

    def __init__(self, **settings: Any) -> None:
        self._config = ClientConfig(**settings)
        self._core = FakeSessionCore()
        self.session_id = "fake"
        self.finished: list[Any] = []


def make_stream(core: FakeStreamCore, **settings: Any) -> Any:
    """Return a handle on `core`, of the class that suits it; `settings` are those of the configuration."""
    session: Any = FakeSession(**settings)
    session._core.streams[core.stream_id] = core
    return _HANDLES[core.direction](session=session, stream_id=core.stream_id)
