"""One WebTransport data stream: its state, and what runs for every chunk of it (draft-16, 4.2 to 4.4)."""

from __future__ import annotations

from typing import Any

from .chunks import ChunkQueue
from .stream_handle import StreamHandle

__all__ = ["DataStream", "StreamBytes", "StreamSignal"]


class DataStream:
    """The part of a stream that every byte passes: reading, writing, and the counts.

    What comes seldom is left to a subclass, which has these methods: ``_credit_ahead()``, ``_count_discarded(nbytes)``,
    ``_write_later(data, end_stream)``, ``_refuse_write()`` (raises), ``_wake_reader()`` and ``_wake_writer()``.
    The session has ``flow`` (with ``send`` and ``receive``), ``port``, ``credit``, ``is_over`` and
    ``stream_finished(stream)``.
    """

    __slots__ = (
        "_credited",
        "_expected",
        "_has_pending_fin",
        "_header_size",
        "_inbox",
        "_is_taken",
        "_low_water",
        "_missing",
        "_outbox",
        "_reset_received",
        "_reset_sent",
        "_sending_over",
        "awaits_settling",
        "bytes_discarded",
        "bytes_dropped",
        "bytes_received",
        "bytes_sent",
        "can_send",
        "handle",
        "is_local",
        "receive_error",
        "receiving_over",
        "reset_code",
        "send_error",
        "session",
        "stop_code",
        "stream_id",
        "wants_readable",
        "wants_writable",
    )

    def __init__(self, stream_id: int, session: Any, *, is_local: bool, header_size: int = 0) -> None:
        """`header_size` is that of the header the peer wrote, 0 for a stream of ours."""
        self.stream_id = stream_id
        self.session = session
        self.is_local = is_local
        self.handle: Any = None
        self.wants_readable = False
        self.wants_writable = False
        self.bytes_sent = 0
        self.bytes_received = 0
        self.bytes_dropped = 0  # written, and never sent
        self.bytes_discarded = 0  # sent by the peer, and never read
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        self.send_error: Any = None  # an exception, as the next one
        self.receive_error: Any = None
        is_one_way = stream_id & 2 != 0
        self.can_send = is_local or not is_one_way  # more may be written
        self.receiving_over = is_local and is_one_way  # nothing more will come; some of it may not have been read yet
        self.awaits_settling = False  # it is over and still holds its place
        self._sending_over = not self.can_send
        self._reset_sent = False
        self._reset_received = False
        self._header_size = header_size
        self._inbox = ChunkQueue()
        self._credited = 0  # bytes of the inbox whose credit was given back before they were read
        self._expected = 0
        self._missing = 0  # bytes that the peer sent before its reset, and that did not arrive
        self._outbox: ChunkQueue | None = None  # bytes that credit does not cover yet; few streams ever have any
        self._has_pending_fin = False
        self._low_water = 0
        self._is_taken = is_local

    @property
    def is_receiving(self) -> bool:
        """Tell whether the end of the peer's sending side has not come yet."""
        return not self.receiving_over

    @property
    def is_aborted(self) -> bool:
        """Tell whether a side of it ended with a reset, a stop request or the session."""
        return self._reset_sent or self._reset_received or self.send_error is not None or self.receive_error is not None

    @property
    def is_done_with(self) -> bool:
        """Tell whether nothing is left for the program: it has the stream, and read all that is of use to it."""
        return self._is_taken and (self._reset_received or not self._inbox)

    @property
    def buffered(self) -> int:
        """Return how many bytes can be read now."""
        return len(self._inbox)

    @property
    def at_eof(self) -> bool:
        """Tell whether the peer's FIN was reached and nothing is left to read."""
        return self.receiving_over and self.receive_error is None and not self._inbox

    def read(self, max_bytes: int = -1) -> bytes | None:
        """Take what is there, at most `max_bytes`; ``b""`` after the FIN, None when nothing is there yet.

        Raises:
            StreamError: the peer reset the stream, or reading was given up here, and nothing is left.
        """
        inbox = self._inbox
        if inbox:
            data = inbox.take(max_bytes)
            size = len(data)
            if self._credited:
                ahead = min(self._credited, size)
                self._credited -= ahead
                size -= ahead
            if size:
                self.give_credit(size)
            if self.receiving_over and not inbox:
                self.take()
            return data
        if self.receive_error is not None:
            raise self.receive_error
        if not self.receiving_over:
            return None
        self.take()
        return b""

    def take(self) -> None:
        """Note that the program has the stream, so that it may lose its place once it is over and read."""
        self._is_taken = True
        if self.awaits_settling and self.is_done_with:
            self.session.credit.settle(self)

    def give_credit(self, nbytes: int) -> None:
        """Let the peer send so many more bytes in place of those that were read, or never will be."""
        session = self.session
        if not session.is_over:  # whose end has settled all credit
            session.port.consume(self.stream_id, nbytes)
            limit = session.flow.receive.consume(nbytes)
            if limit is not None:
                session.credit.announce_data(limit)

    def write(self, data: bytes, *, end_stream: bool = False) -> None:
        """Queue bytes, all of them, and the FIN.

        Raises:
            StreamError: the sending side is over; with the peer's code when it asked to stop.
        """
        if not self.can_send:
            self._refuse_write()
        size = len(data)
        self.bytes_sent += size
        session = self.session
        allowance, port = session.flow.send, session.port
        if self._outbox or (
            size
            and allowance.enabled
            and (size > allowance.max_data - allowance.data_sent or size > port.send_room(self.stream_id))
        ):
            self._write_later(data, end_stream)
            return
        allowance.data_sent += size
        port.send_stream(self.stream_id, data, end_stream)
        if end_stream:
            self._sending_over = True
            self.can_send = False
            if self.wants_writable:
                self._wake_writer()
            if self.receiving_over:
                session.stream_finished(self)

    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Take bytes in order, without the header.

        Raises:
            SessionViolation: the peer sent more than the session allows.
        """
        if end_stream:
            self.receiving_over = True  # first: a violation ends the session, and nothing more will come
        if data:
            size = len(data)
            self.bytes_received += size
            if self.receive_error is None:
                self._inbox.append(data)
            self.session.flow.receive.receive(size)
            if self.receive_error is not None:
                self._count_discarded(size)
                self.give_credit(size)  # on its way when reading was given up
            elif self._expected:
                self._credit_ahead()
        if end_stream and self._sending_over:
            self.session.stream_finished(self)
        if self.wants_readable:
            handle = self.handle
            if isinstance(handle, StreamHandle) and handle._wake_sleeper():
                self.wants_readable = False  # the one who waits needs no event
            else:
                self._wake_reader()

    # What a subclass has to say.

    def _credit_ahead(self) -> None:
        raise NotImplementedError

    def _count_discarded(self, nbytes: int) -> None:
        raise NotImplementedError

    def _write_later(self, data: bytes, end_stream: bool) -> None:
        raise NotImplementedError

    def _refuse_write(self) -> None:
        raise NotImplementedError

    def _wake_reader(self) -> None:
        raise NotImplementedError

    def _wake_writer(self) -> None:
        raise NotImplementedError


class StreamSignal:
    """Something that happened to a stream; equal to another of its class about the same stream."""

    __slots__ = ("stream",)
    __match_args__ = ("stream",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, stream: Any) -> None:
        """Say which stream."""
        self.stream = stream

    def __eq__(self, other: object) -> bool:
        """Tell whether the other one says the same."""
        if not isinstance(other, StreamSignal) or other.__class__ is not self.__class__:
            return NotImplemented
        return bool(self.stream == other.stream)

    def __repr__(self) -> str:
        """Name the class and the stream."""
        return f"{type(self).__name__}(stream={self.stream!r})"


class StreamBytes:
    """In-order bytes of a stream; equal to another of its class that says the same."""

    __slots__ = ("data", "end_stream", "stream_id")
    __match_args__ = ("stream_id", "data", "end_stream")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Say which stream, which bytes, and whether its FIN came."""
        self.stream_id = stream_id
        self.data = data
        self.end_stream = end_stream

    def __eq__(self, other: object) -> bool:
        """Tell whether the other one says the same."""
        if not isinstance(other, StreamBytes) or other.__class__ is not self.__class__:
            return NotImplemented
        return bool(
            self.stream_id == other.stream_id and self.data == other.data and self.end_stream == other.end_stream
        )

    def __repr__(self) -> str:
        """Name the class and what it says."""
        return (
            f"{type(self).__name__}(stream_id={self.stream_id!r}, data={self.data!r}, end_stream={self.end_stream!r})"
        )
