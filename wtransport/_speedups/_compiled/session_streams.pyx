# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The streams of a session and of its connection; the specification is the twin in ``_pure/session_streams.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.set cimport PySet_Discard
from libc.stdint cimport int64_t

from .data_stream cimport DataStream, StreamBytes, new_stream
from .stream_handle cimport StreamHandle
from .stream_port cimport StreamPort, consume_on, release_on, unsent_on
from .wire cimport read_varint

from .._constants import STREAM_SIGNALS

cdef int64_t[2] _SIGNALS
_SIGNALS[0], _SIGNALS[1] = STREAM_SIGNALS

cdef enum:
    MIN_SENDING = 64


cdef class StreamPlaces:
    """StreamPlaces(port)\n--\n\nWhich data streams of the peer keep their place in QUIC's stream limit."""

    def __init__(self, port):
        self._held = set()
        self._port = port

    def __len__(self):
        """Return how many are kept."""
        return len(self._held)

    def hold(self, int64_t stream_id):
        """Keep the place of a stream of the peer until `give_up`, even if it is over before."""
        self._held.add(stream_id)

    def give_up(self, int64_t stream_id):
        """Give up the place of a stream, at once or as soon as it is over; without effect on one that holds none."""
        self.leave(stream_id, stream_id)

    def on_over(self, event):
        """Take note that QUIC is done with a stream, which has no word from here if it holds its place still."""
        if event.stream_id not in self._held:
            release_on(self._port, event.stream_id)

    def clear(self):
        """Forget everything: the connection is over."""
        self._held.clear()

    cdef int leave(self, key, int64_t stream_id) except -1:
        if PySet_Discard(self._held, key):
            release_on(self._port, stream_id)
        return 0


cdef class StreamRegistry:
    """StreamRegistry(host, readers, stream_class)\n--\n\nThe data streams of a connection, and the readers of all its streams."""

    def __init__(self, host, dict readers not None, stream_class):
        self.readers = readers
        self._streams = host.streams
        self._sessions = host.sessions
        self._places = host.places
        self._port = host.port
        self._emit = host.emit
        self._events = host.events
        self._is_client = host.is_client
        self._stream_class = stream_class
        self._sending = {}
        self._sending_limit = MIN_SENDING
        self._beginnings = {}
        self._waiting_resets = {}

    def opens_data_stream(self, StreamBytes event not None):
        """Route a data stream of the peer whose first bytes hold the whole header of an open session."""
        cdef int64_t stream_id = event.stream_id, signal = -1, session_id = 0
        cdef bytes data = event.data, rest
        cdef const unsigned char* raw = <const unsigned char*> PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef SessionStreams session
        cdef DataStream stream
        cdef StreamArrivals arrivals
        cdef bint is_told_later
        cdef int first, second
        if (stream_id & 1) != self._is_client:
            return False
        first = read_varint(raw, size, &signal)
        if first == 0 or signal != _SIGNALS[(stream_id >> 1) & 1]:
            return False
        second = read_varint(raw + first, size - first, &session_id)
        if second == 0:
            return False
        session = self._sessions.get(session_id)
        if session is None or not session.is_open:
            return False
        first += second
        self._places._held.add(event.stream_id)
        stream = session.take_opened(stream_id, first)
        # Handlers are told last, when the bytes are there, unless the stream's end could be told before that.
        is_told_later = stream is not None and session.arrivals is not None and not (stream_id & 2 and event.end_stream)
        if stream is not None and not is_told_later:
            session.emit(session._OPENED(stream))
        consume_on(self._port, stream_id, first)
        if size > first or event.end_stream:
            rest = PyBytes_FromStringAndSize(<const char*> raw + first, size - first)
            try:
                if stream is None:
                    self.readers[stream_id].on_data(rest, event.end_stream)
                else:
                    stream.take_data(rest, event.end_stream)
            except BaseException:
                if is_told_later:
                    session.emit(session._OPENED(stream))
                raise
        if is_told_later:
            arrivals = session.arrivals  # handlers can end the session
            if self._events or arrivals is None or not arrivals.tell(stream):
                session.emit(session._OPENED(stream))
        return True

    def new_stream(self, SessionStreams session not None, int64_t stream_id, *, bint is_local, int64_t header_size):
        """Make a stream of a session and read what arrives on it."""
        return self.make_stream(session, stream_id, is_local, header_size)

    def stream_forgotten(self, DataStream stream not None, *, bint still_arriving):
        """Drop a data stream, or wait for the end of one that was stopped."""
        self.forget(stream, still_arriving)

    # What a subclass has to say.

    def _end_reading(self, stream, *, still_arriving):
        raise NotImplementedError

    cdef DataStream make_stream(self, SessionStreams session, int64_t stream_id, bint is_local, int64_t header_size):
        cdef DataStream stream = new_stream(self._stream_class)
        stream.begin(stream_id, session, session._sending, session._receiving, is_local, header_size)
        self._streams[stream.key] = stream
        self.readers[stream.key] = stream
        session.streams[stream.key] = stream
        return stream

    cdef int forget(self, DataStream stream, bint still_arriving) except -1:
        cdef object key = stream.key
        self._streams.pop(key, None)
        if self._beginnings:
            self._beginnings.pop(key, None)
        if still_arriving or self._waiting_resets:
            self._end_reading(stream, still_arriving=still_arriving)
        else:
            self.readers.pop(key, None)
        if unsent_on(self._port, stream.stream_id):
            if len(self._sending) >= self._sending_limit:
                self.drop_sent()
            self._sending[key] = stream
        return 0

    cdef int drop_sent(self) except -1:
        cdef object unsent_bytes = self._port.unsent_bytes, key
        for key in list(self._sending):
            if not unsent_bytes(key):
                del self._sending[key]
        self._sending_limit = max(MIN_SENDING, 2 * len(self._sending))
        return 0


cdef class SessionCreditBooks:
    """SessionCreditBooks(places, receiving)\n--\n\nThe streams of a session that wait for credit, or hold their place."""

    def __init__(self, StreamPlaces places not None, ReceiveCredit receiving not None):
        self._places = places
        self._receiving = receiving
        self._blocked = {}
        self._unsettled = {}

    def stream_over(self, DataStream stream not None):
        """Take note that a stream is over; its place is the peer's again once the program is done with it, too."""
        self.over(stream)

    def settle(self, DataStream stream not None):
        """Let the peer open another stream in place of one that is over and done with."""
        stream.awaits_settling = False
        del self._unsettled[stream]
        self.free_place(stream)

    # What a subclass has to say.

    def _announce_streams(self, limit, *, unidirectional):
        raise NotImplementedError

    cdef int over(self, DataStream stream) except -1:
        if self._blocked:
            self._blocked.pop(stream, None)
        if not stream.is_local:
            if stream._done_with():
                self.free_place(stream)
            else:
                self._unsettled[stream] = None
                stream.awaits_settling = True
        return 0

    cdef int free_place(self, DataStream stream) except -1:
        cdef bint unidirectional = (stream.stream_id & 2) != 0
        cdef object limit
        self._places.leave(stream.key, stream.stream_id)
        limit = self._receiving.stream_closed(unidirectional)
        if limit is not None:
            self._announce_streams(limit, unidirectional=unidirectional)
        return 0


cdef class SessionStreams:
    """SessionStreams(registry, stream_id, flow, credit, headers)\n--\n\nThe part of a session that every stream passes."""

    def __init__(self, StreamRegistry registry not None, int64_t stream_id, flow, credit, tuple headers not None):
        self._registry = registry
        self._headers = headers
        self.stream_id = stream_id
        self.port = registry._port
        self.emit = registry._emit
        self.flow = flow
        self._sending = flow.send
        self._receiving = flow.receive
        self.credit = credit
        self.streams = {}
        self._wants_streams = [False, False]

    def open_stream(self, *, bint unidirectional):
        """Open a stream; None when credit lacks, and `StreamCreditAvailable` follows when there is some."""
        cdef SendCredit allowance = self._sending
        cdef object port = self.port, key, header
        cdef int64_t stream_id
        if not self.is_open:
            self._check_open()
        if not allowance.may_open(unidirectional):
            self._report_blocked(unidirectional=unidirectional)
            self._wants_streams[unidirectional] = True
            return None
        header = self._headers[unidirectional]
        if isinstance(port, StreamPort):
            stream_id = (<StreamPort> port).begin_stream(unidirectional, header)
        else:
            key = port.open_stream(unidirectional=unidirectional)
            stream_id = -1 if key is None else key
        if stream_id < 0:
            self._wants_streams[unidirectional] = True
            return None
        allowance.streams_opened[unidirectional] += 1
        if isinstance(port, StreamPort):
            (<StreamPort> port).flush_begun()
        else:
            port.send_stream_header(stream_id, header)
        return self._registry.make_stream(self, stream_id, True, 0)

    def on_stream_opened(self, int64_t stream_id, int64_t header_size):
        """Take a stream that the peer opened; None when the peer may not, which ends the session."""
        cdef DataStream stream = self.take_opened(stream_id, header_size)
        if stream is not None:
            self.emit(self._OPENED(stream))
        return stream

    def stream_finished(self, DataStream stream not None, *, bint still_arriving=False):
        """Drop a stream whose directions are both over, for us at least."""
        self.finish(stream, still_arriving)

    # What a subclass has to say.

    def _check_open(self):
        raise NotImplementedError

    def _refuse_stream(self, *, unidirectional):
        raise NotImplementedError

    def _report_blocked(self, *, unidirectional):
        raise NotImplementedError

    cdef int finish(self, DataStream stream, bint still_arriving) except -1:
        cdef object handle
        if self.streams.pop(stream.key, None) is None:
            return 0
        if stream._was_aborted():
            self.streams_aborted += 1
        else:
            self.streams_closed += 1
        self._registry.forget(stream, still_arriving)
        self.credit.over(stream)
        handle = stream.handle
        if handle is None or self.tells_ends or not (<StreamHandle?> handle).finish_unheard():
            self.emit(self._FINISHED(stream))
        return 0

    cdef DataStream take_opened(self, int64_t stream_id, int64_t header_size):
        cdef bint unidirectional = (stream_id & 2) != 0
        cdef DataStream stream = self._registry.make_stream(self, stream_id, False, header_size)
        if not self._receiving.stream_opened(unidirectional):
            self._refuse_stream(unidirectional=unidirectional)
            return None
        return stream
