# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""One WebTransport data stream; the specification is the twin in ``_pure/data_stream.py``."""

from __future__ import annotations

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t

from .chunks cimport ChunkQueue
from .credit cimport ReceiveCredit, SendCredit
from .session_streams cimport SessionStreams
from .stream_handle cimport StreamHandle
from .stream_port cimport consume_on, room_on, send_on

cdef tuple _NOTHING = ()


cdef class DataStream:
    """DataStream(stream_id, session, *, is_local, header_size=0)\n--\n\nThe part of a stream that every byte passes."""

    def __init__(self, int64_t stream_id, session, *, bint is_local, int64_t header_size=0):
        self.begin(stream_id, session, session.flow.send, session.flow.receive, is_local, header_size)

    @property
    def is_receiving(self):
        """Tell whether the end of the peer's sending side has not come yet."""
        return not self.receiving_over

    @property
    def is_aborted(self):
        """Tell whether a side of it ended with a reset, a stop request or the session."""
        return self._was_aborted()

    @property
    def is_done_with(self):
        """Tell whether nothing is left for the program: it has the stream, and read all that is of use to it."""
        return self._done_with()

    @property
    def buffered(self):
        """Return how many bytes can be read now."""
        return self._inbox._size

    @property
    def at_eof(self):
        """Tell whether the peer's FIN was reached and nothing is left to read."""
        return self.receiving_over and self.receive_error is None and not self._inbox._size

    def read(self, max_bytes=-1):
        """Take what is there, at most `max_bytes`; ``b""`` after the FIN, None when nothing is there yet."""
        return self.take_out(max_bytes)

    def take(self):
        """Note that the program has the stream, so that it may lose its place once it is over and read."""
        self._take()

    def give_credit(self, int64_t nbytes):
        """Let the peer send so many more bytes in place of those that were read, or never will be."""
        self._give_credit(nbytes)

    def write(self, data, *, bint end_stream=False):
        """Queue bytes, all of them, and the FIN."""
        self.put(data, end_stream)

    def on_data(self, bytes data not None, bint end_stream):
        """Take bytes in order, without the header."""
        self.take_data(data, end_stream)

    # What a subclass has to say.

    def _credit_ahead(self):
        raise NotImplementedError

    def _count_discarded(self, nbytes):
        raise NotImplementedError

    def _write_later(self, data, end_stream):
        raise NotImplementedError

    def _refuse_write(self):
        raise NotImplementedError

    def _wake_reader(self):
        raise NotImplementedError

    def _wake_writer(self):
        raise NotImplementedError

    cdef int begin(
        self,
        int64_t stream_id,
        session,
        SendCredit sending,
        ReceiveCredit receiving,
        bint is_local,
        int64_t header_size,
    ) except -1:
        cdef bint is_one_way = stream_id & 2 != 0
        self.stream_id = stream_id
        self.key = stream_id
        self.session = session
        self.is_local = self._is_taken = is_local
        self.can_send = is_local or not is_one_way
        self.receiving_over = is_local and is_one_way
        self._sending_over = not self.can_send
        self._header_size = header_size
        self._inbox = ChunkQueue.__new__(ChunkQueue)
        self._expected = self._low_water = 0
        self._sending = sending
        self._receiving = receiving
        return 0

    cdef object take_out(self, max_bytes):
        cdef ChunkQueue inbox = self._inbox
        cdef bytes data
        cdef int64_t size, ahead
        if inbox._size:
            data = inbox.take(max_bytes)
            size = len(data)
            if self._credited:
                ahead = min(self._credited, size)
                self._credited -= ahead
                size -= ahead
            if size:
                self._give_credit(size)
            if self.receiving_over and not inbox._size:
                self._take()
            return data
        if self.receive_error is not None:
            raise self.receive_error
        if not self.receiving_over:
            return None
        self._take()
        return b""

    cdef int put(self, data, bint end_stream) except -1:
        cdef SendCredit allowance = self._sending
        cdef object session = self.session, port
        cdef int64_t size
        if not self.can_send:
            self._refuse_write()
        size = len(data)
        self.bytes_sent += size
        port = (<SessionStreams> session).port if isinstance(session, SessionStreams) else session.port
        if (self._outbox is not None and self._outbox._size) or (
            size
            and allowance.enabled
            and (size > allowance.max_data - allowance.data_sent or size > room_on(port, self.stream_id))
        ):
            self._write_later(data, end_stream)
            return 0
        allowance.data_sent += size
        send_on(port, self.stream_id, data, end_stream)
        if end_stream:
            self._sending_over = True
            self.can_send = False
            if self.wants_writable:
                self._wake_writer()
            if self.receiving_over:
                self.finish()
        return 0

    cdef int take_data(self, bytes data, bint end_stream) except -1:
        cdef int64_t size = len(data)
        if end_stream:
            self.receiving_over = True
        if size:
            self.bytes_received += size
            if self.receive_error is None:
                self._inbox.append(data)
            self._receiving.count(size)
            if self.receive_error is not None:
                self._count_discarded(size)
                self._give_credit(size)
            elif self._expected:
                self._credit_ahead()
        if end_stream and self._sending_over:
            self.finish()
        if self.wants_readable:
            if isinstance(self.handle, StreamHandle) and (<StreamHandle> self.handle).wake_sleeper():
                self.wants_readable = False
            else:
                self._wake_reader()
        return 0

    cdef int finish(self) except -1:
        """Tell the session that both directions are over."""
        cdef object session = self.session
        if isinstance(session, SessionStreams):
            return (<SessionStreams> session).finish(self, False)
        session.stream_finished(self)
        return 0

    cdef bint _was_aborted(self) noexcept:
        return (
            self._reset_sent
            or self._reset_received
            or self.send_error is not None
            or self.receive_error is not None
        )

    cdef bint _done_with(self) noexcept:
        return self._is_taken and (self._reset_received or not self._inbox._size)

    cdef int _take(self) except -1:
        self._is_taken = True
        if self.awaits_settling and self._done_with():
            self.session.credit.settle(self)
        return 0

    cdef int _give_credit(self, int64_t nbytes) except -1:
        cdef object session = self.session
        cdef bint is_known = isinstance(session, SessionStreams)
        cdef int64_t limit
        if not ((<SessionStreams> session).is_over if is_known else session.is_over):
            consume_on((<SessionStreams> session).port if is_known else session.port, self.stream_id, nbytes)
            limit = self._receiving.give_back(nbytes)
            if limit >= 0:
                session.credit.announce_data(limit)
        return 0


cdef DataStream new_stream(cls):
    return (<PyTypeObject*> cls).tp_new(cls, <PyObject*> _NOTHING, NULL)


cdef class StreamSignal:
    """StreamSignal(stream)\n--\n\nSomething that happened to a stream; equal to another of its class about the same one."""

    __match_args__ = ("stream",)
    __hash__ = None

    def __init__(self, stream):
        self.stream = stream

    def __eq__(self, other):
        if not isinstance(other, StreamSignal) or other.__class__ is not self.__class__:
            return NotImplemented
        return bool(self.stream == (<StreamSignal> other).stream)

    def __repr__(self):
        return f"{type(self).__name__}(stream={self.stream!r})"


cdef class StreamBytes:
    """StreamBytes(stream_id, data, end_stream)\n--\n\nIn-order bytes of a stream; equal to another of its class that says the same."""

    __match_args__ = ("stream_id", "data", "end_stream")
    __hash__ = None

    def __init__(self, stream_id, data, end_stream):
        self.stream_id = stream_id
        self.data = data
        self.end_stream = end_stream

    def __eq__(self, other):
        cdef StreamBytes it
        if not isinstance(other, StreamBytes) or other.__class__ is not self.__class__:
            return NotImplemented
        it = other
        return bool(self.stream_id == it.stream_id and self.data == it.data and self.end_stream == it.end_stream)

    def __repr__(self):
        return (
            f"{type(self).__name__}(stream_id={self.stream_id!r}, data={self.data!r}, end_stream={self.end_stream!r})"
        )


cdef StreamBytes new_stream_bytes(cls, stream_id, data, end_stream):
    cdef StreamBytes piece = (<PyTypeObject*> cls).tp_new(cls, <PyObject*> _NOTHING, NULL)
    piece.stream_id = stream_id
    piece.data = data
    piece.end_stream = end_stream
    return piece
