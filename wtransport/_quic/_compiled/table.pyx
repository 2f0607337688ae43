# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""All streams of one QUIC connection; the specification is the twin in ``_quic/stream_table.py``."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from .books cimport StreamBooks
from .receiving cimport ReceiveHalf
from .sending cimport SendHalf, room_of
from .streams cimport QuicStream, new_stream

from ...constants import ErrorCodes
from ..flow import MAX_STREAM_COUNT
from ..port import StreamCreditRaised, StreamDiscarded, StreamReset, StreamRoomRaised, StreamStopped
from ..stream_table import MAX_OFFSET
from ..streams import FinalSizeError, ResetCodeError, TooManyGapsError
from ..violations import TransportViolation

cdef int64_t _MAX_OFFSET = MAX_OFFSET
cdef int64_t _MAX_STREAM_COUNT = MAX_STREAM_COUNT


cdef class StreamTable(StreamBooks):
    """The streams of a connection."""

    # Commands of the application.

    def open(self, *, bint unidirectional):
        """Open a stream; None when the peer allows no more, which it is then told once (STREAMS_BLOCKED)."""
        cdef QuicStream stream = self.open_next(unidirectional)
        return None if stream is None else stream.stream_id

    cdef QuicStream open_next(self, bint unidirectional):
        cdef int64_t stream_id = self.ids_to_open[unidirectional]
        cdef int64_t credit
        if stream_id >> 2 >= self.streams_allowed(unidirectional):
            if not self.wants_streams[unidirectional]:
                self.wants_streams[unidirectional] = self.blocked_due[unidirectional] = True
            return None
        self.ids_to_open[unidirectional] = stream_id + 4
        credit = self.peer.max_stream_data_uni if unidirectional else self.peer.max_stream_data_bidi_remote
        stream = new_stream(stream_id, credit, self.stream_window)
        stream.receive.is_finished = unidirectional
        self.add(stream)
        return stream

    cpdef int write_header(self, QuicStream stream, data) except -1:
        """Queue the bytes that a stream of ours begins with; they arrive even if it is reset later."""
        if stream is None:
            raise TypeError("there is no such stream")
        stream.send.write_header(data)
        return self.line_up(stream)

    def write(self, QuicStream stream not None, data, bint end_stream):
        """Queue bytes of a stream whose sending side is open."""
        stream.send.write(data, end_stream)
        self.line_up(stream)

    cpdef bint send(self, int64_t stream_id, data, bint end_stream) except -1:
        """Queue bytes of a stream; False, and without effect, when its sending side is over."""
        cdef QuicStream stream = self.find(stream_id)
        if stream is None or not stream.send.accepts():
            return False
        stream.send.write(data, end_stream)
        self.line_up(stream)
        return True

    def unsent_bytes(self, int64_t stream_id):
        """Return how many bytes of a stream have not been sent for the first time, or never will, after a reset."""
        return self.count_unsent(stream_id)

    cdef int64_t count_unsent(self, int64_t stream_id) except -1:
        cdef QuicStream stream = self.find(stream_id)
        return 0 if stream is None else stream.send.end - stream.send.offset + stream.send.taken_back

    def send_room(self, int64_t stream_id):
        """Return how many bytes the peer's credit for a stream allows beyond those sent and queued."""
        return self.count_room(stream_id)

    cdef int64_t count_room(self, int64_t stream_id) except -1:
        cdef QuicStream stream = self.find(stream_id)
        return 0 if stream is None else room_of(stream.send)

    def watch_unsent(self, QuicStream stream not None, int64_t low_water):
        """Report once that at most `low_water` bytes of a stream are unsent; True when that is so already."""
        stream.send.low_water = low_water
        self.account_sent(stream, 0)
        return stream.send.low_water < 0

    def reset(self, QuicStream stream not None, int64_t error_code):
        """Reset a stream's sending side, unless it is over."""
        if stream.send.give_up(error_code):
            self.line_up(stream)

    def stop(self, QuicStream stream not None, int64_t error_code):
        """Have STOP_SENDING sent, and give back the credit of bytes that nobody will read."""
        cdef ReceiveHalf receive = stream.receive
        cdef int64_t beyond_gap = receive.window.received - receive.next_offset
        if receive.stop_reading(error_code):
            self.credit_read(stream.stream_id, beyond_gap)
            if receive.code < 0:
                self.line_up(stream)
            else:
                self._report_reset(stream)

    def consume(self, int64_t stream_id, int64_t nbytes):
        """Count bytes as read; True when a new limit is now to be announced."""
        return self.credit_read(stream_id, nbytes)

    cpdef bint release(self, int64_t stream_id) except -1:
        """Let the peer open another stream in place of this one, once it is over; True when that is now announced."""
        cdef QuicStream stream = self.find(stream_id)
        if stream is not None:
            stream.is_released = True
            return False
        return self.free_place(stream_id)

    cpdef bint stop_told(self, int64_t stream_id) except -1:
        """Take note that a `StreamStopped` was taken, so that its stream may go; True when that is now announced."""
        cdef QuicStream stream = self.find(stream_id)
        if stream is None:
            return False
        stream.owes_stop = False
        self.forget_if_over(stream)
        return self.limits_due

    def allow_streams(self, int64_t count, *, bint unidirectional):
        """Let the peer have at least so many streams alive; True when a new limit is now to be announced."""
        cdef bint due = self.peer_limits[unidirectional].widen(count)
        self.limits_due |= due
        return due

    # Frames of the peer.

    def on_stream_frame(self, int64_t stream_id, int64_t offset, bytes data not None, bint fin):
        """Take a STREAM frame (RFC 9000, 19.8)."""
        self.on_stream(
            stream_id, offset, <const unsigned char*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), fin
        )

    def on_max_streams(self, int64_t limit, *, bint unidirectional):
        """Take a MAX_STREAMS frame (RFC 9000, 19.11)."""
        self.raise_max_streams(limit, unidirectional)

    cdef int on_stream(
        self, int64_t stream_id, int64_t offset, const unsigned char* data, Py_ssize_t size, bint fin
    ) except -1:
        cdef QuicStream stream = self.receiving(stream_id)
        cdef int64_t end, new_bytes
        cdef Py_ssize_t known = -1  # bytes of the frame that were handed out before, if it only continues those
        cdef bytes ready = None
        if stream is None:
            return 0
        if size > _MAX_OFFSET - offset:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "stream offset exceeds 2^62 - 1")
        cdef ReceiveHalf receive = stream.receive
        end = offset + size
        new_bytes = end - receive.window.received
        if new_bytes > 0:
            self.check_credit(receive, end, new_bytes)
        try:
            if self.arrived.may_grow(stream_id, size):
                known = receive.extend(offset, size, fin)
            if known < 0:
                ready = receive.take(offset, data, size, fin)
        except FinalSizeError as exc:
            raise TransportViolation(ErrorCodes.FINAL_SIZE_ERROR, str(exc)) from exc
        except TooManyGapsError as exc:
            raise TransportViolation(ErrorCodes.INTERNAL_ERROR, str(exc)) from exc
        if new_bytes > 0:
            self.receive_window.received += new_bytes
            if receive.is_stopped:
                self.credit_read(stream_id, new_bytes)
        cdef bint is_reset = receive.code >= 0
        if known >= 0:
            self.arrived.grow(data + known, size - known, receive.is_finished)
        elif ready is None:
            return 0
        elif receive.is_stopped:
            self.emit(StreamDiscarded(stream_id, end if receive.final_offset < 0 else receive.final_offset))
        else:
            self.arrived.report(stream_id, ready, receive.is_finished and not is_reset)
            if stream.early_stop is not None:
                self._tell_stop(stream, stream.early_stop)
                stream.early_stop = None
        if receive.is_finished:
            if is_reset:
                self.credit_read(stream_id, receive.window.received - receive.next_offset)
                self._report_reset(stream)
            elif stream.send.is_finished:
                self.forget(stream)
        return 0

    cpdef int on_reset(
        self, int64_t stream_id, int64_t error_code, int64_t final_size, int64_t reliable_size=0
    ) except -1:
        """Take a RESET_STREAM frame (RFC 9000, 19.4) or a RESET_STREAM_AT frame."""
        cdef QuicStream stream = self.receiving(stream_id)
        cdef int64_t new_bytes, unclaimed
        cdef bint is_over
        if stream is None:
            return 0
        if reliable_size > final_size:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "reliable size beyond the final size")
        cdef ReceiveHalf receive = stream.receive
        new_bytes = max(final_size - receive.window.received, 0)
        if new_bytes:
            self.check_credit(receive, final_size, new_bytes)
        unclaimed = new_bytes if receive.is_stopped else final_size - receive.next_offset
        try:
            is_over = receive.take_reset(error_code, final_size, reliable_size)
        except FinalSizeError as exc:
            raise TransportViolation(ErrorCodes.FINAL_SIZE_ERROR, str(exc)) from exc
        except ResetCodeError as exc:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, str(exc)) from exc
        self.receive_window.received += new_bytes
        if is_over:
            self.credit_read(stream_id, unclaimed)
            self._report_reset(stream)
        return 0

    cpdef int on_stop_sending(self, int64_t stream_id, int64_t error_code) except -1:
        """Take a STOP_SENDING frame (RFC 9000, 19.5): answered with a reset that copies the code (3.5)."""
        cdef QuicStream stream = self.sending(stream_id)
        if stream is None:
            return 0
        cdef SendHalf send = stream.send
        cdef ReceiveHalf receive = stream.receive
        cdef int64_t unsent = send.end - send.offset
        cdef object event
        if send.give_up(error_code):
            self.line_up(stream)
            event = StreamStopped(stream_id, error_code, unsent - (send.end - send.offset))
            if (stream_id & 1) == self.is_client and not (
                receive.next_offset or receive.is_finished or receive.is_stopped
            ):
                stream.early_stop = event  # nobody up there knows this stream before its first bytes
            else:
                self._tell_stop(stream, event)
        return 0

    cpdef int on_max_data(self, int64_t limit) except -1:
        """Take a MAX_DATA frame (RFC 9000, 19.9)."""
        cdef dict waiting
        cdef QuicStream stream
        if limit > self.peer.max_data:
            self.peer.max_data = limit
            if self.waiting_for_max_data:
                waiting, self.waiting_for_max_data = self.waiting_for_max_data, {}
                for stream in waiting:
                    self.line_up(stream)
        return 0

    cpdef int on_max_stream_data(self, int64_t stream_id, int64_t limit) except -1:
        """Take a MAX_STREAM_DATA frame (RFC 9000, 19.10)."""
        cdef QuicStream stream = self.sending(stream_id)
        if stream is not None and limit > stream.send.limit:
            stream.send.limit = limit
            self.line_up(stream)
            if stream.send.wants_room:
                stream.send.wants_room = False
                self.emit(StreamRoomRaised(stream_id))
        return 0

    cdef int raise_max_streams(self, int64_t limit, bint unidirectional) except -1:
        if limit > _MAX_STREAM_COUNT:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "Maximum Streams exceeds 2^60")
        if limit <= self.streams_allowed(unidirectional):
            return 0
        if unidirectional:
            self.peer.max_streams_uni = limit
        else:
            self.peer.max_streams_bidi = limit
        self.blocked_due[unidirectional] = False
        if self.wants_streams[unidirectional]:
            self.wants_streams[unidirectional] = False
            self.emit(StreamCreditRaised(unidirectional))
        return 0

    cpdef int on_stream_data_blocked(self, int64_t stream_id) except -1:
        """Take a STREAM_DATA_BLOCKED frame (RFC 9000, 19.13): it opens the stream, credit follows reading alone."""
        self.receiving(stream_id)
        return 0

    cdef int _tell_stop(self, QuicStream stream, event) except -1:
        # If bytes were dropped, `unsent_bytes` goes on to say so until the event was taken, however late that is.
        stream.owes_stop = event.unsent > 0
        self.emit(event)
        return 0

    cdef int _report_reset(self, QuicStream stream) except -1:
        cdef ReceiveHalf receive = stream.receive
        self.emit(StreamReset(stream.stream_id, max(receive.code, 0), receive.window.received))
        if stream.send.is_finished:
            self.forget(stream)
        return 0
