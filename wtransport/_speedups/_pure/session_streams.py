"""The streams of a session and of its connection: how they begin and end, and who keeps a place (draft-16, 4 and 5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .._constants import STREAM_SIGNALS
from .arrivals import StreamArrivals
from .credit import ReceiveCredit, SendCredit
from .data_stream import DataStream
from .frames import decode_stream_header

__all__ = ["SessionCreditBooks", "SessionStreams", "StreamPlaces", "StreamRegistry"]

MIN_SENDING = 64
"""Streams that are over but for bytes to be sent: so many are remembered before it is asked which were sent since."""


class StreamPlaces:
    """Which data streams of the peer keep their place in QUIC's stream limit: those that are not over or dealt with.

    A stream whose bytes nobody has read, or that nobody has taken, still costs memory when QUIC is done with it. If its
    place were given away then, a peer could have us keep any number of tiny streams.
    """

    __slots__ = ("_held", "_port")

    def __init__(self, port: Any) -> None:
        """Begin with none; the port has ``release_stream(stream_id)``."""
        self._held: set[int] = set()
        self._port = port

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._held)

    def hold(self, stream_id: int) -> None:
        """Keep the place of a stream of the peer until `give_up`, even if it is over before."""
        self._held.add(stream_id)

    def give_up(self, stream_id: int) -> None:
        """Give up the place of a stream, at once or as soon as it is over; without effect on one that holds none."""
        if stream_id in self._held:
            self._held.discard(stream_id)
            self._port.release_stream(stream_id)

    def on_over(self, event: Any) -> None:
        """Take note that QUIC is done with a stream, which has no word from here if it holds its place still."""
        if event.stream_id not in self._held:
            self._port.release_stream(event.stream_id)

    def clear(self) -> None:
        """Forget everything: the connection is over."""
        self._held.clear()


class StreamRegistry:
    """The data streams of a connection, and the readers of all its streams.

    What comes seldom is left to a subclass, ``_end_reading(stream, still_arriving=...)``. The host has ``emit``,
    ``events``, ``is_client``, ``places``, ``port``, ``sessions`` and ``streams``.
    """

    # fmt: off
    __slots__ = (
        "_beginnings", "_emit", "_events", "_is_client", "_places", "_port", "_sending", "_sending_limit", "_sessions",
        "_stream_class", "_streams", "_waiting_resets", "readers",
    )
    # fmt: on

    def __init__(self, host: Any, readers: dict[int, Any], stream_class: Any) -> None:
        """Begin without streams.

        Args:
            host: the connection.
            readers: who takes what arrives on a stream, by its id.
            stream_class: that of the streams to be made, which derives from `DataStream`.
        """
        self.readers = readers
        self._streams: dict[int, Any] = host.streams
        self._sessions: dict[int, Any] = host.sessions
        self._places: StreamPlaces = host.places
        self._port = host.port
        self._emit: Callable[[Any], None] = host.emit
        self._events: deque[Any] = host.events
        self._is_client: bool = host.is_client
        self._stream_class = stream_class
        self._sending: dict[int, Any] = {}  # over, but for bytes that were not sent yet
        self._sending_limit = MIN_SENDING
        self._beginnings: dict[int, float] = {}  # until when, the earliest first; some have gone on since
        self._waiting_resets: dict[int, Any] = {}  # until when, and which

    def opens_data_stream(self, event: Any) -> bool:
        """Route a data stream of the peer whose first bytes hold the whole header of an open session, as nearly all do.

        False, and nothing has happened, when they do not: then it needs a reader that finds out what it is.
        """
        stream_id = event.stream_id
        signal = STREAM_SIGNALS[stream_id >> 1 & 1]
        header = decode_stream_header(event.data, signal) if stream_id & 1 == self._is_client else None
        if header is None or header[0] != signal:
            return False
        _, session_id, size = header
        session = self._sessions.get(session_id)
        if session is None or not session.is_open:
            return False
        self._places.hold(stream_id)
        stream = session._take_opened(stream_id, size)
        # Handlers are told last, when the bytes are there, unless the stream's end could be told before that.
        is_told_later = stream is not None and session.arrivals is not None and not (stream_id & 2 and event.end_stream)
        if stream is not None and not is_told_later:
            session.emit(session._OPENED(stream))
        self._port.consume(stream_id, size)
        data = event.data
        if len(data) > size or event.end_stream:
            try:
                self.readers[stream_id].on_data(data[size:], event.end_stream)
            except BaseException:
                if is_told_later:
                    session.emit(session._OPENED(stream))
                raise
        if is_told_later:
            arrivals = session.arrivals
            if self._events or arrivals is None or not arrivals.announce(stream):
                session.emit(session._OPENED(stream))
        return True

    def new_stream(self, session: Any, stream_id: int, *, is_local: bool, header_size: int) -> Any:
        """Make a stream of a session and read what arrives on it."""
        stream = self._stream_class(stream_id, session, is_local=is_local, header_size=header_size)
        self._streams[stream_id] = self.readers[stream_id] = session.streams[stream_id] = stream
        return stream

    def stream_forgotten(self, stream: DataStream, *, still_arriving: bool) -> None:
        """Drop a data stream, or wait for the end of one that was stopped."""
        stream_id = stream.stream_id
        self._streams.pop(stream_id, None)
        if self._beginnings:
            self._beginnings.pop(stream_id, None)
        if still_arriving or self._waiting_resets:
            self._end_reading(stream, still_arriving=still_arriving)
        else:
            self.readers.pop(stream_id, None)
        if self._port.unsent_bytes(stream_id):
            # The peer may stop it before all of it was sent; those that were sent leave in bulk.
            if len(self._sending) >= self._sending_limit:
                self._drop_sent()
            self._sending[stream_id] = stream

    def _drop_sent(self) -> None:
        sending, unsent_bytes = self._sending, self._port.unsent_bytes
        for stream_id in [each for each in sending if not unsent_bytes(each)]:
            del sending[stream_id]
        self._sending_limit = max(MIN_SENDING, 2 * len(sending))

    # What a subclass has to say.

    def _end_reading(self, stream: Any, *, still_arriving: bool) -> None:
        raise NotImplementedError


class SessionCreditBooks:
    """The streams of a session that wait for its credit, and those that are over and still hold their place.

    A subclass says ``_announce_streams(limit, unidirectional=...)``.
    """

    __slots__ = ("_blocked", "_places", "_receiving", "_unsettled")

    def __init__(self, places: StreamPlaces, receiving: ReceiveCredit) -> None:
        """Begin without streams."""
        self._places = places
        self._receiving = receiving
        self._blocked: dict[Any, None] = {}
        self._unsettled: dict[Any, None] = {}

    def stream_over(self, stream: DataStream) -> None:
        """Take note that a stream is over; its place is the peer's again once the program is done with it, too."""
        if self._blocked:
            self._blocked.pop(stream, None)
        if not stream.is_local:
            if stream.is_done_with:
                self._free_place(stream.stream_id)
            else:
                self._unsettled[stream] = None
                stream.awaits_settling = True

    def settle(self, stream: DataStream) -> None:
        """Let the peer open another stream in place of one that is over and done with."""
        stream.awaits_settling = False
        del self._unsettled[stream]
        self._free_place(stream.stream_id)

    def _free_place(self, stream_id: int) -> None:
        self._places.give_up(stream_id)
        unidirectional = stream_id & 2 != 0
        limit = self._receiving.close_stream(unidirectional=unidirectional)
        if limit is not None:
            self._announce_streams(limit, unidirectional=unidirectional)

    # What a subclass has to say.

    def _announce_streams(self, limit: int, *, unidirectional: bool) -> None:
        raise NotImplementedError


class SessionStreams:
    """The part of a session that every stream passes, when it begins and when it ends.

    What comes seldom is left to a subclass, which has these methods: ``_check_open()`` (raises),
    ``_refuse_stream(unidirectional=...)``, which ends the session, and ``_report_blocked(unidirectional=...)``. It says
    what its events are.

    Attributes:
        streams_closed: how many streams ended in order.
        streams_aborted: how many ended otherwise.
    """

    # fmt: off
    __slots__ = (
        "_headers", "_receiving", "_registry", "_sending", "_wants_streams", "arrivals", "credit", "emit", "flow",
        "handle", "is_open", "is_over", "port", "stream_id", "streams", "streams_aborted", "streams_closed",
        "tells_ends",
    )
    # fmt: on

    _OPENED: Any
    """The class of the event that the peer opened a stream."""
    _FINISHED: Any
    """The class of the event that a stream is over."""

    def __init__(self, registry: Any, stream_id: int, flow: Any, credit: Any, headers: tuple[bytes, bytes]) -> None:
        """Begin a session that is not open yet.

        Args:
            registry: the streams of the connection.
            stream_id: the stream of the session's CONNECT.
            flow: its limits, `SendCredit` as ``send`` and `ReceiveCredit` as ``receive``.
            credit: the books of it.
            headers: what its streams begin with, by direction, bidirectional first.
        """
        self._registry: StreamRegistry = registry
        self._headers = headers
        self.stream_id = stream_id
        self.port = registry._port
        self.emit: Callable[[Any], None] = registry._emit
        self.flow = flow
        self._sending: SendCredit = flow.send
        self._receiving: ReceiveCredit = flow.receive
        self.credit = credit
        self.streams: dict[int, Any] = {}
        self.arrivals: StreamArrivals | None = None  # tells handlers of streams, once there are some
        self.is_open = False  # streams and datagrams may be used
        self.is_over = False
        self.handle: Any = None
        self.streams_aborted = 0
        self.streams_closed = 0
        self.tells_ends = False  # of every stream, also of one that nobody listens to
        self._wants_streams = [False, False]

    def open_stream(self, *, unidirectional: bool) -> Any:
        """Open a stream; None when credit lacks, and `StreamCreditAvailable` follows when there is some.

        Raises:
            SessionError: the session is not open.
        """
        if not self.is_open:
            self._check_open()
        allowance = self._sending
        if not allowance.can_open(unidirectional=unidirectional):
            self._report_blocked(unidirectional=unidirectional)
            self._wants_streams[unidirectional] = True
            return None
        stream_id = self.port.open_stream(unidirectional=unidirectional)
        if stream_id is None:
            self._wants_streams[unidirectional] = True
            return None
        allowance.streams_opened[unidirectional] += 1
        # The header goes out even if nothing is written, or the stream is reset at once: the peer counts streams, and
        # may be waiting for one (draft-16, 4.4).
        self.port.send_stream_header(stream_id, self._headers[unidirectional])
        return self._registry.new_stream(self, stream_id, is_local=True, header_size=0)

    def on_stream_opened(self, stream_id: int, header_size: int) -> Any:
        """Take a stream that the peer opened; None when the peer may not, which ends the session."""
        stream = self._take_opened(stream_id, header_size)
        if stream is not None:
            self.emit(self._OPENED(stream))
        return stream

    def stream_finished(self, stream: DataStream, *, still_arriving: bool = False) -> None:
        """Drop a stream whose directions are both over, for us at least."""
        if self.streams.pop(stream.stream_id, None) is None:
            return
        if stream.is_aborted:
            self.streams_aborted += 1
        else:
            self.streams_closed += 1
        self._registry.stream_forgotten(stream, still_arriving=still_arriving)
        self.credit.stream_over(stream)
        handle = stream.handle
        if handle is None or self.tells_ends or not handle._finish_unheard():
            self.emit(self._FINISHED(stream))

    def _take_opened(self, stream_id: int, header_size: int) -> Any:
        stream = self._registry.new_stream(self, stream_id, is_local=False, header_size=header_size)
        if self._receiving.count_stream(unidirectional=stream_id & 2 != 0):
            return stream
        self._refuse_stream(unidirectional=stream_id & 2 != 0)
        return None

    # What a subclass has to say.

    def _check_open(self) -> None:
        raise NotImplementedError

    def _refuse_stream(self, *, unidirectional: bool) -> None:
        raise NotImplementedError

    def _report_blocked(self, *, unidirectional: bool) -> None:
        raise NotImplementedError
