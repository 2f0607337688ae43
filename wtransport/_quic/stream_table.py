"""All streams of one QUIC connection, with the rules of who may open and send how much (RFC 9000, sections 2 to 4).

Frames go in already parsed, events come out through a callback, and streams that have something to send stand in the
`ready` queue. Nothing here knows packets, clocks, or which QUIC implementation is underneath.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..constants import ErrorCodes
from .flow import MAX_STREAM_COUNT, ReceiveWindow, StreamLimit
from .limits import PeerLimits, TransportLimits
from .port import (
    QuicEvent,
    StreamCreditRaised,
    StreamDiscarded,
    StreamDrained,
    StreamOver,
    StreamReset,
    StreamRoomRaised,
    StreamStopped,
)
from .stream_bytes import StreamBytesEvents
from .streams import FinalSizeError, QuicStream, ReceiveHalf, ResetCodeError, SendHalf, TooManyGapsError
from .violations import TransportViolation

MAX_OFFSET = 2**62 - 1


class StreamTable:
    """The streams of a connection; see the module's docstring."""

    def __init__(
        self,
        *,
        is_client: bool,
        limits: TransportLimits,
        emit: Callable[[QuicEvent], None],
        queue: deque[Any] | None = None,
    ) -> None:
        """`emit` reports an event; `queue` is where it puts them, if events of bytes may grow while they wait there."""
        self.arrived = StreamBytesEvents(emit, queue)
        self.streams: dict[int, QuicStream] = {}
        self.ready: deque[QuicStream] = deque()
        self.receive_window = ReceiveWindow(limits.connection_window)
        self.peer_limits = (StreamLimit(limits.max_streams_bidi), StreamLimit(limits.max_streams_uni))
        self.limits_due = False
        self.streams_blocked_due = [False, False]
        self.remote = PeerLimits()
        self.data_used = 0
        self.blocked_at = -1  # the MAX_DATA that the peer was told of as holding us back
        self._is_client = is_client
        self._stream_window = limits.stream_window
        self._emit = emit
        self.next_ids = [0, 2] if is_client else [1, 3]
        self._wants_streams = [False, False]
        self.waiting_for_max_data: dict[QuicStream, None] = {}

    # Commands of the application.

    def open(self, *, unidirectional: bool) -> int | None:
        """Open a stream; None when the peer allows no more, which it is then told once (STREAMS_BLOCKED)."""
        stream_id = self.next_ids[unidirectional]
        if stream_id >> 2 >= self.remote_max_streams(unidirectional=unidirectional):
            if not self._wants_streams[unidirectional]:
                self._wants_streams[unidirectional] = self.streams_blocked_due[unidirectional] = True
            return None
        self.next_ids[unidirectional] = stream_id + 4
        credit = self.remote.max_stream_data_uni if unidirectional else self.remote.max_stream_data_bidi_remote
        self.streams[stream_id] = QuicStream(
            stream_id, SendHalf(limit=credit), ReceiveHalf(window=self._stream_window, readable=not unidirectional)
        )
        return stream_id

    def write_header(self, stream: QuicStream, data: bytes) -> None:
        """Queue the bytes that a stream of ours begins with; they arrive even if it is reset later."""
        stream.send.write_header(data)
        self.enqueue(stream)

    def write(self, stream: QuicStream, data: bytes, end_stream: bool) -> None:
        """Queue bytes of a stream whose sending side is open."""
        stream.send.write(data, end_stream)
        if not stream.is_queued:
            self.enqueue(stream)

    def send(self, stream_id: int, data: bytes, end_stream: bool) -> bool:
        """Queue bytes of a stream; False, and without effect, when its sending side is over."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.send.is_open:
            return False
        self.write(stream, data, end_stream)
        return True

    def unsent_bytes(self, stream_id: int) -> int:
        """Return how many bytes of a stream have not been sent for the first time, or never will, after a reset."""
        stream = self.streams.get(stream_id)
        return 0 if stream is None else stream.send.unsent + stream.send.taken_back

    def send_room(self, stream_id: int) -> int:
        """Return how many bytes the peer's credit for a stream allows beyond those sent and queued."""
        stream = self.streams.get(stream_id)
        return 0 if stream is None else stream.send.room

    def watch_unsent(self, stream: QuicStream, low_water: int) -> bool:
        """Report once that at most `low_water` bytes of a stream are unsent; True when that is so already."""
        stream.send.low_water = low_water
        self.sent(stream, 0)
        return stream.send.low_water < 0

    def reset(self, stream: QuicStream, error_code: int) -> None:
        """Reset a stream's sending side, unless it is over."""
        if stream.send.reset(error_code):
            self.enqueue(stream)

    def stop(self, stream: QuicStream, error_code: int) -> None:
        """Have STOP_SENDING sent, and give back the credit of bytes that nobody will read."""
        receive = stream.receive
        beyond_gap = receive.window.received - receive.next_offset
        if receive.stop(error_code):
            self.consume(stream.stream_id, beyond_gap)
            if receive.reset_code is None:
                self.enqueue(stream)
            else:
                self._report_reset(stream)

    def consume(self, stream_id: int, nbytes: int) -> bool:
        """Count bytes as read; True when a new limit is now to be announced."""
        due = self.receive_window.consume(nbytes)
        if due:
            self.limits_due = True
        stream = self.streams.get(stream_id)
        if stream is not None and stream.receive.final_size is None and stream.receive.window.consume(nbytes):
            self.enqueue(stream)
            return True
        return due

    def release(self, stream_id: int) -> bool:
        """Let the peer open another stream in place of this one, once it is over; True when that is now announced."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.is_released = True
            return False
        return self._free_place(stream_id)

    def stop_told(self, stream_id: int) -> bool:
        """Take note that a `StreamStopped` was taken, so that its stream may go; True when that is now announced."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return False
        stream.owes_stop = False
        self.forget_if_finished(stream)
        return self.limits_due

    def allow_streams(self, count: int, *, unidirectional: bool) -> bool:
        """Let the peer have at least so many streams alive; True when a new limit is now to be announced."""
        due = self.peer_limits[unidirectional].widen(count)
        self.limits_due |= due
        return due

    # Frames of the peer.

    def on_stream_frame(self, stream_id: int, offset: int, data: bytes, fin: bool) -> None:
        """Take a STREAM frame (RFC 9000, 19.8)."""
        stream = self._receiving_stream(stream_id)
        if stream is None:
            return
        end = offset + len(data)
        if end > MAX_OFFSET:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "stream offset exceeds 2^62 - 1")
        receive = stream.receive
        new_bytes = end - receive.window.received
        if new_bytes > 0:
            self._check_credit(receive, end, new_bytes)
        try:
            ready = receive.receive(offset, data, fin)
        except FinalSizeError as exc:
            raise TransportViolation(ErrorCodes.FINAL_SIZE_ERROR, str(exc)) from exc
        except TooManyGapsError as exc:
            raise TransportViolation(ErrorCodes.INTERNAL_ERROR, str(exc)) from exc
        if new_bytes > 0:
            self.receive_window.received += new_bytes
            if receive.is_stopped:
                self.consume(stream_id, new_bytes)
        if ready is None:
            return
        is_reset = receive.reset_code is not None
        if receive.is_stopped:
            self._emit(StreamDiscarded(stream_id, end if receive.final_size is None else receive.final_size))
        else:
            self.arrived.report(stream_id, ready, receive.is_finished and not is_reset)
            if stream.early_stop is not None:
                self._tell_stop(stream, stream.early_stop)
                stream.early_stop = None
        if receive.is_finished:
            if is_reset:
                self.consume(stream_id, receive.window.received - receive.next_offset)
                self._report_reset(stream)
            elif stream.send.is_finished:
                self._forget(stream)

    def on_reset(self, stream_id: int, error_code: int, final_size: int, reliable_size: int = 0) -> None:
        """Take a RESET_STREAM frame (RFC 9000, 19.4) or a RESET_STREAM_AT frame."""
        stream = self._receiving_stream(stream_id)
        if stream is None:
            return
        if reliable_size > final_size:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "reliable size beyond the final size")
        receive = stream.receive
        new_bytes = max(final_size - receive.window.received, 0)
        if new_bytes:
            self._check_credit(receive, final_size, new_bytes)
        unclaimed = new_bytes if receive.is_stopped else final_size - receive.next_offset
        try:
            is_over = receive.reset(error_code, final_size, reliable_size)
        except FinalSizeError as exc:
            raise TransportViolation(ErrorCodes.FINAL_SIZE_ERROR, str(exc)) from exc
        except ResetCodeError as exc:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, str(exc)) from exc
        self.receive_window.received += new_bytes
        if is_over:
            self.consume(stream_id, unclaimed)
            self._report_reset(stream)

    def on_stop_sending(self, stream_id: int, error_code: int) -> None:
        """Take a STOP_SENDING frame (RFC 9000, 19.5): answered with a reset that copies the code (3.5)."""
        stream = self._sending_stream(stream_id)
        if stream is None:
            return
        unsent = stream.send.unsent
        if stream.send.reset(error_code):
            self.enqueue(stream)
            event = StreamStopped(stream_id, error_code, unsent - stream.send.unsent)
            receive, is_peers = stream.receive, bool(stream_id & 1) == self._is_client
            if is_peers and not (receive.next_offset or receive.is_finished or receive.is_stopped):
                stream.early_stop = event  # nobody up there knows this stream before its first bytes
            else:
                self._tell_stop(stream, event)

    def on_max_data(self, limit: int) -> None:
        """Take a MAX_DATA frame (RFC 9000, 19.9)."""
        if limit > self.remote.max_data:
            self.remote.max_data = limit
            waiting, self.waiting_for_max_data = self.waiting_for_max_data, {}
            for stream in waiting:
                self.enqueue(stream)

    def on_max_stream_data(self, stream_id: int, limit: int) -> None:
        """Take a MAX_STREAM_DATA frame (RFC 9000, 19.10)."""
        stream = self._sending_stream(stream_id)
        if stream is not None and limit > stream.send.limit:
            stream.send.limit = limit
            self.enqueue(stream)
            if stream.send.wants_room:
                stream.send.wants_room = False
                self._emit(StreamRoomRaised(stream_id))

    def on_max_streams(self, limit: int, *, unidirectional: bool) -> None:
        """Take a MAX_STREAMS frame (RFC 9000, 19.11)."""
        if limit > MAX_STREAM_COUNT:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "Maximum Streams exceeds 2^60")
        if limit <= self.remote_max_streams(unidirectional=unidirectional):
            return
        if unidirectional:
            self.remote.max_streams_uni = limit
        else:
            self.remote.max_streams_bidi = limit
        self.streams_blocked_due[unidirectional] = False
        if self._wants_streams[unidirectional]:
            self._wants_streams[unidirectional] = False
            self._emit(StreamCreditRaised(unidirectional))

    def on_stream_data_blocked(self, stream_id: int) -> None:
        """Take a STREAM_DATA_BLOCKED frame (RFC 9000, 19.13): it opens the stream, credit follows reading alone."""
        self._receiving_stream(stream_id)

    # What the packet writer asks and tells.

    def remote_max_streams(self, *, unidirectional: bool) -> int:
        """Return how many streams of a direction the peer lets us open in all."""
        return self.remote.max_streams_uni if unidirectional else self.remote.max_streams_bidi

    @property
    def send_credit(self) -> int:
        """Return how many new bytes the peer's MAX_DATA still allows."""
        return self.remote.max_data - self.data_used

    def enqueue(self, stream: QuicStream) -> None:
        """Put a stream in line to be served, unless it stands there already."""
        if not stream.is_queued:
            stream.is_queued = True
            self.ready.append(stream)

    def wait_for_max_data(self, stream: QuicStream) -> None:
        """Remember that a stream can go on only when MAX_DATA rises."""
        self.waiting_for_max_data[stream] = None

    def repeat_blocked(self, limit: int) -> None:
        """Tell the peer once more that its MAX_DATA holds us back, if this one still does."""
        stream = next((stream for stream in self.waiting_for_max_data if stream.send.unsent), None)
        if stream is not None and self.remote.max_data == limit:
            self.blocked_at = -1
            self.enqueue(stream)

    def repeat_streams_blocked(self, limit: int, *, unidirectional: bool) -> None:
        """Tell the peer once more that its MAX_STREAMS holds us back, if this one still does."""
        if self._wants_streams[unidirectional] and self.remote_max_streams(unidirectional=unidirectional) == limit:
            self.streams_blocked_due[unidirectional] = True

    def sent(self, stream: QuicStream, new_bytes: int) -> None:
        """Account for bytes sent for the first time."""
        self.data_used += new_bytes
        send = stream.send
        if send.low_water >= 0 and send.unsent <= send.low_water:
            send.low_water = -1
            self._emit(StreamDrained(stream.stream_id))

    def forget_if_finished(self, stream: QuicStream) -> None:
        """Drop a stream's state once both halves are over."""
        if stream.send.is_finished and stream.receive.is_finished:
            self._forget(stream)

    # Inside.

    def _report_reset(self, stream: QuicStream) -> None:
        receive = stream.receive
        self._emit(StreamReset(stream.stream_id, receive.reset_code or 0, receive.window.received))
        if stream.send.is_finished:
            self._forget(stream)

    def _tell_stop(self, stream: QuicStream, event: StreamStopped) -> None:
        # If bytes were dropped, `unsent_bytes` goes on to say so until the event was taken, however late that is.
        stream.owes_stop = event.unsent > 0
        self._emit(event)

    def _forget(self, stream: QuicStream) -> None:
        if stream.owes_stop:
            return  # until `stop_told`
        if self.streams.pop(stream.stream_id, None) is None:
            return
        self.waiting_for_max_data.pop(stream, None)
        if bool(stream.stream_id & 1) == self._is_client:
            if stream.is_released:
                self._free_place(stream.stream_id)
            else:
                self._emit(StreamOver(stream.stream_id))

    def _free_place(self, stream_id: int) -> bool:
        """Let the peer open another stream; True when that is now to be announced."""
        due = self.peer_limits[bool(stream_id & 2)].stream_closed()
        self.limits_due |= due
        return due

    def _receiving_stream(self, stream_id: int) -> QuicStream | None:
        if stream_id & 2 and bool(stream_id & 1) != self._is_client:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "the stream is send-only")
        return self.streams.get(stream_id) or self._peer_stream(stream_id)

    def _sending_stream(self, stream_id: int) -> QuicStream | None:
        if stream_id & 2 and bool(stream_id & 1) == self._is_client:
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "the stream is receive-only")
        return self.streams.get(stream_id) or self._peer_stream(stream_id)

    def _peer_stream(self, stream_id: int) -> QuicStream | None:
        """Open the stream that a frame names, and every lower one of its kind (RFC 9000, 3.2).

        Returns None for a stream that is over: whatever still comes for it is of no interest.
        """
        unidirectional = bool(stream_id & 2)
        if bool(stream_id & 1) != self._is_client:
            if stream_id < self.next_ids[unidirectional]:
                return None
            raise TransportViolation(ErrorCodes.STREAM_STATE_ERROR, "a frame names a stream that was not opened")
        limit = self.peer_limits[unidirectional]
        count = (stream_id >> 2) + 1
        if count <= limit.opened:
            return None
        if count > limit.limit:
            raise TransportViolation(ErrorCodes.STREAM_LIMIT_ERROR, "too many streams opened")
        credit = 0 if unidirectional else self.remote.max_stream_data_bidi_local
        for number in range(limit.opened, count):
            opened_id = (number << 2) | (stream_id & 3)
            self.streams[opened_id] = stream = QuicStream(
                opened_id,
                SendHalf(limit=credit, writable=not unidirectional),
                ReceiveHalf(window=self._stream_window),
            )
        limit.opened = count
        if limit.is_due:
            self.limits_due = True  # streams that closed earlier count from now on
        return stream

    def _check_credit(self, receive: ReceiveHalf, end: int, new_bytes: int) -> None:
        if end > receive.window.limit:
            raise TransportViolation(ErrorCodes.FLOW_CONTROL_ERROR, "over the stream's data limit")
        if self.receive_window.received + new_bytes > self.receive_window.limit:
            raise TransportViolation(ErrorCodes.FLOW_CONTROL_ERROR, "over the connection's data limit")
