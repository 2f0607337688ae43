# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""What a connection is asked for every stream and packet; the specification is the twin in ``_quic/stream_commands.py``."""

from __future__ import annotations

from libc.math cimport isinf
from libc.stdint cimport int64_t

from ..._speedups._compiled.stream_port cimport StreamPort
from .connection_state cimport ConnectionState
from .streams cimport QuicStream
from .table cimport StreamTable

from aioquic.quic.events import QuicEvent

from ..port import DatagramsArrived, StreamBytes, StreamStopped
from ..stream_commands import STREAMS_PER_FLUSH, _ignore

cdef int _STREAMS_PER_FLUSH = STREAMS_PER_FLUSH


cdef class StreamCommands(StreamPort):
    """StreamCommands(connection, least_quiet)\n--\n\nThe part of a port that runs for each stream and packet."""

    def __init__(self, connection, double least_quiet):
        self._least_quiet = least_quiet
        self.request_flush = _ignore
        self.request_prompt_flush = self.request_flush_at_once = None
        self._connection = connection
        self._table = connection.table
        self._queue = connection.events
        self.unsent_bytes = self._table.unsent_bytes
        self.send_room = self._table.send_room

    def next_event(self):
        """Return the next event, or None."""
        cdef ConnectionState connection = self._connection
        cdef object event
        while self._queue:
            event = connection.take_event()
            if event is None:
                break
            if type(event) is not StreamBytes and type(event) is not DatagramsArrived:
                if type(event) is StreamStopped:
                    if self._table.stop_told(event.stream_id):
                        self.request_flush()
                elif isinstance(event, QuicEvent):
                    event = self._translate(event)
            if event is not None and not self._end_reported:
                return event
        if not self._end_reported and connection._close_event is not None:
            self._end_reported = True
            return self._end()
        return None

    def open_stream(self, *, bint unidirectional):
        """Open a stream and return its id; None when the peer allows no more now."""
        cdef QuicStream stream = self._table.open_next(unidirectional)
        if stream is None:
            self.request_flush()
            return None
        return stream.stream_id

    def send_stream_header(self, int64_t stream_id, data):
        """Queue the bytes that a new stream of ours begins with; they arrive even if it is reset later."""
        cdef QuicStream stream = self._table.streams[stream_id]
        self._table.write_header(stream, data)
        self.flush_begun()

    def send_stream(self, int64_t stream_id, data, bint end_stream):
        """Queue stream bytes; without effect on a stream whose sending side is over. Its end is sent promptly."""
        self.put(stream_id, data, end_stream)

    def flush_promptly(self, *, bint is_whole):
        """Ask for a flush that is not to wait for others' commands, if that can be asked for."""
        self.ask_promptly(is_whole)

    cdef int ask_promptly(self, bint is_whole) except -1:
        if self.request_prompt_flush is None:
            self.request_flush()
        else:
            self.request_prompt_flush(is_whole)
        return 0

    def consume(self, int64_t stream_id, int64_t nbytes):
        """Give back credit for bytes that were read, or will not be."""
        self.credit(stream_id, nbytes)

    def release_stream(self, int64_t stream_id):
        """Let the peer open another stream in place of this one, at once or as soon as it is over."""
        self.free_place(stream_id)

    def next_deadline(self):
        """Return when `handle_timeout` must be called next, or None."""
        cdef ConnectionState connection = self._connection
        cdef double timer = connection.timer_at()
        if isinf(timer) or (connection._close_event is not None and self.is_terminated):
            return None
        if timer <= connection.heard_at + self._least_quiet or self._end_reported:
            return timer
        return self._kept_alive(timer)

    @property
    def is_paced(self):
        """Whether packets are held back by pacing."""
        return self._connection.is_paced

    # The same without calls by name.

    cdef int64_t begin_stream(self, bint unidirectional, header) except -2:
        cdef QuicStream stream = self._table.open_next(unidirectional)
        if stream is None:
            self.request_flush()
            return -1
        self._table.write_header(stream, header)
        return stream.stream_id

    cdef int flush_begun(self) except -1:
        self._begun += 1
        if self._begun < _STREAMS_PER_FLUSH or self.request_flush_at_once is None:
            self.request_flush()
        else:
            self._begun = 0
            self.request_flush_at_once()
        return 0

    cdef int put(self, int64_t stream_id, data, bint end_stream) except -1:
        if self._table.send(stream_id, data, end_stream):
            if end_stream:
                self.ask_promptly(False)
            else:
                self.request_flush()
        return 0

    cdef int credit(self, int64_t stream_id, int64_t nbytes) except -1:
        if self._table.credit_read(stream_id, nbytes):
            self.request_flush()
        return 0

    cdef int free_place(self, int64_t stream_id) except -1:
        if self._table.release(stream_id):
            self.request_flush()
        return 0

    cdef int64_t count_unsent(self, int64_t stream_id) except -1:
        return self._table.count_unsent(stream_id)

    cdef int64_t count_room(self, int64_t stream_id) except -1:
        return self._table.count_room(stream_id)

    # What a subclass has to say.

    def _kept_alive(self, timer):
        raise NotImplementedError

    def _translate(self, event):
        raise NotImplementedError

    def _end(self):
        raise NotImplementedError
