"""Writes the frames of streams, limits and datagrams into packets (RFC 9000, section 19; RFC 9221).

Uses aioquic's packet builder through its public methods only. A frame that does not fit raises the builder's
`QuicPacketBuilderStop` before any state changes.
"""

from __future__ import annotations

from collections import deque

from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder, QuicPacketBuilderStop

from .._speedups import varint_size
from .flow import ReceiveWindow, StreamLimit
from .members import ACKED
from .stream_table import StreamTable
from .streams import QuicStream
from .transport_parameters import RESET_STREAM_AT

MIN_STREAM_ROOM = 64
"""Bytes: a STREAM frame is not squeezed into less room than this unless all that is left fits."""

TURN_BYTES = 16_384
"""Bytes of frames that a stream sends in a row, at least, while others wait. What is done for a stream, at both ends,
is done once for a turn rather than once for a packet: with many streams under way that is most of what they cost."""

MAX_TURN_BYTES = 65_536
"""Bytes of a turn on a fast path, where a short stream does not wait long behind long ones."""

TURNS_PER_WINDOW = 16
"""Turns that fill a congestion window, so that one takes a sixteenth of a round trip, between those two limits."""

ONE_FIELD = 1 + 8
TWO_FIELDS = 1 + 8 + 8
THREE_FIELDS = 1 + 8 + 8 + 8
FOUR_FIELDS = 1 + 8 + 8 + 8 + 8
"""Bytes that frames of so many varints take at most."""

_STREAM_FRAME = int(QuicFrameType.STREAM_BASE) | 2  # with a length
_DATAGRAM_FRAME = int(QuicFrameType.DATAGRAM_WITH_LENGTH)


def turn_bytes(congestion_window: int) -> int:
    """Return the bytes of a turn on a path with this congestion window."""
    return min(max(congestion_window // TURNS_PER_WINDOW, TURN_BYTES), MAX_TURN_BYTES)


class FrameWriter:
    """Serves the ready streams of a table, and a queue of datagrams, packet by packet."""

    def __init__(self, table: StreamTable) -> None:
        self.datagrams: deque[bytes] = deque()
        self.datagrams_dropped = 0
        self.turn_bytes = TURN_BYTES
        """Bytes that a stream sends in a row while others wait; see the function of that name."""

        self._table = table
        self._streams_first = False
        self._turn = 0  # bytes that who stands first in line has sent since then

    @property
    def has_work(self) -> bool:
        """Tell whether anything waits to be written."""
        table = self._table
        return bool(table.ready or self.datagrams or table.limits_due or True in table.streams_blocked_due)

    def write(self, builder: QuicPacketBuilder) -> None:
        """Fill the current packet; streams and datagrams go first in turns, so that neither starves the other.

        A turn ends with being served: who finds no room, as in a packet shared with a long acknowledgement or beyond
        the congestion window, is first in the next packet too.
        """
        first, second = self._write_datagrams, self._write_streams
        if self._streams_first:
            first, second = second, first
        room = builder.remaining_flight_space
        try:
            first(builder)
        except QuicPacketBuilderStop:
            if builder.remaining_flight_space == room:
                raise
        if builder.remaining_flight_space < room:
            self._streams_first = not self._streams_first
        second(builder)

    def queue_datagram(self, data: bytes) -> None:
        """Queue a datagram; what streams had ready before the queue's first one goes out ahead of it.

        A session's first datagram must not overtake the response that opens the session, in the same packet: Chromium
        156 and Firefox 153 drop it, and in 1 of 20 tries Firefox then never opened the session.
        """
        if not self.datagrams and self._table.ready:
            self._streams_first = True
        self.datagrams.append(data)

    def drop_oversized_datagrams(self, packet_room: int) -> bool:
        """Drop datagrams at the head that no packet holds any more; True when there were any.

        They fitted when they were queued: since then the peer made us use a longer connection id, or the path lost the
        larger packets.
        """
        queue = self.datagrams
        before = len(queue)
        while queue and 1 + varint_size(len(queue[0])) + len(queue[0]) > packet_room:
            queue.popleft()
        self.datagrams_dropped += before - len(queue)
        return len(queue) < before

    def write_limits(self, builder: QuicPacketBuilder) -> None:
        """Announce MAX_DATA and MAX_STREAMS where they changed, and STREAMS_BLOCKED where we are."""
        table = self._table
        if table.limits_due:
            self._announce(builder, QuicFrameType.MAX_DATA, table.receive_window)
            self._announce(builder, QuicFrameType.MAX_STREAMS_BIDI, table.peer_limits[0])
            self._announce(builder, QuicFrameType.MAX_STREAMS_UNI, table.peer_limits[1])
            table.limits_due = False
        for unidirectional, frame_type in enumerate(
            (QuicFrameType.STREAMS_BLOCKED_BIDI, QuicFrameType.STREAMS_BLOCKED_UNI)
        ):
            if table.streams_blocked_due[unidirectional]:
                limit = table.remote_max_streams(unidirectional=bool(unidirectional))
                handler = self._on_streams_blocked_delivery
                buf = builder.start_frame(frame_type, ONE_FIELD, handler=handler, handler_args=(unidirectional, limit))
                buf.push_uint_var(limit)
                table.streams_blocked_due[unidirectional] = False

    def _announce(
        self, builder: QuicPacketBuilder, frame_type: QuicFrameType, limit: ReceiveWindow | StreamLimit
    ) -> None:
        if limit.is_due:
            buf = builder.start_frame(frame_type, ONE_FIELD, handler=self._on_limit_delivery, handler_args=(limit,))
            buf.push_uint_var(limit.limit)
            limit.announced = limit.limit

    def _write_datagrams(self, builder: QuicPacketBuilder) -> None:
        queue = self.datagrams
        while queue:
            data = queue[0]
            size = len(data)
            buf = builder.start_frame(_DATAGRAM_FRAME, 1 + varint_size(size) + size)
            buf.push_uint_var(size)
            buf.push_bytes(data)
            queue.popleft()

    def _write_streams(self, builder: QuicPacketBuilder) -> None:
        """Serve ready streams in turn, each for `turn_bytes` at most or one frame."""
        ready = self._table.ready
        while ready:
            stream = ready[0]
            room = builder.remaining_flight_space
            has_more = self._write_stream(builder, stream)
            written = room - builder.remaining_flight_space
            self._turn += written
            if not has_more or self._turn + written > self.turn_bytes:
                self._turn = 0
                ready.popleft()
                if has_more:
                    ready.append(stream)
                else:
                    stream.is_queued = False
            if has_more and builder.remaining_flight_space < MIN_STREAM_ROOM:
                return  # the packet is as good as full

    def _write_stream(self, builder: QuicPacketBuilder, stream: QuicStream) -> bool:
        """Write what a stream has for this packet; return whether it has more that may be sent."""
        receive = stream.receive
        if receive.final_size is None:
            if receive.window.announced != receive.window.limit:
                self._write_max_stream_data(builder, stream)
            if receive.stop_pending:
                self._write_stop_sending(builder, stream)
        has_more = self._write_data(builder, stream)
        if stream.send.reset_pending and not has_more:
            self._write_reset(builder, stream)
        return has_more

    def _write_data(self, builder: QuicPacketBuilder, stream: QuicStream) -> bool:
        send, table = stream.send, self._table
        credit = table.send_credit
        if not send.has_frame(credit):
            if send.unsent:
                self._write_blocked(builder, stream)
            return False
        offset = send.next_offset
        overhead = 3 + varint_size(stream.stream_id) + (varint_size(offset) if offset else 0)
        room = builder.remaining_flight_space - overhead
        if room < MIN_STREAM_ROOM and room < send.next_size:
            raise QuicPacketBuilderStop
        frame = send.next_frame(room, credit)
        if frame is None:
            raise QuicPacketBuilderStop
        offset, data, fin, new_bytes = frame
        buf = builder.start_frame(
            _STREAM_FRAME | (4 if offset else 0) | fin,
            overhead,
            handler=self._on_stream_delivery,
            handler_args=(stream, offset, data, fin),
        )
        buf.push_uint_var(stream.stream_id)
        if offset:
            buf.push_uint_var(offset)
        buf.push_uint16(len(data) | 0x4000)
        buf.push_bytes(data)
        table.sent(stream, new_bytes)
        if send.has_frame(1):
            return True
        if send.offset == send.limit and send.unsent:
            self._write_blocked(builder, stream)
        return False

    def _write_blocked(self, builder: QuicPacketBuilder, stream: QuicStream) -> None:
        """Tell the peer, once for each limit, that a stream has more than the limit lets go (RFC 9000, 4.1)."""
        send, table = stream.send, self._table
        if table.send_credit <= 0:
            table.wait_for_max_data(stream)
            limit = table.remote.max_data
            if table.blocked_at != limit:
                buf = builder.start_frame(
                    QuicFrameType.DATA_BLOCKED, ONE_FIELD, handler=self._on_blocked_delivery, handler_args=(limit,)
                )
                buf.push_uint_var(limit)
                table.blocked_at = limit
        elif send.blocked_at != send.limit:
            buf = builder.start_frame(
                QuicFrameType.STREAM_DATA_BLOCKED,
                TWO_FIELDS,
                handler=self._on_stream_blocked_delivery,
                handler_args=(stream, send.limit),
            )
            buf.push_uint_var(stream.stream_id)
            buf.push_uint_var(send.limit)
            send.blocked_at = send.limit

    def _write_max_stream_data(self, builder: QuicPacketBuilder, stream: QuicStream) -> None:
        buf = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA, TWO_FIELDS, handler=self._on_window_delivery, handler_args=(stream,)
        )
        window = stream.receive.window
        buf.push_uint_var(stream.stream_id)
        buf.push_uint_var(window.limit)
        window.announced = window.limit

    def _write_stop_sending(self, builder: QuicPacketBuilder, stream: QuicStream) -> None:
        buf = builder.start_frame(
            QuicFrameType.STOP_SENDING, TWO_FIELDS, handler=self._on_stop_delivery, handler_args=(stream,)
        )
        buf.push_uint_var(stream.stream_id)
        buf.push_uint_var(stream.receive.stop_code)
        stream.receive.stop_pending = False

    def _write_reset(self, builder: QuicPacketBuilder, stream: QuicStream) -> None:
        """Write the reset, with the size of what it does not take back where the peer knows such a frame."""
        send = stream.send
        peer_takes_it = self._table.remote.reset_stream_at
        if not send.is_reset_due(peer_takes_reset_stream_at=peer_takes_it):
            return
        is_partial = peer_takes_it and send.reliable_size > 0
        buf = builder.start_frame(
            RESET_STREAM_AT if is_partial else QuicFrameType.RESET_STREAM,
            FOUR_FIELDS if is_partial else THREE_FIELDS,
            handler=self._on_reset_delivery,
            handler_args=(stream,),
        )
        buf.push_uint_var(stream.stream_id)
        buf.push_uint_var(send.reset_code or 0)
        buf.push_uint_var(send.offset)
        if is_partial:
            buf.push_uint_var(send.reliable_size)
        send.reset_pending = False

    # Fates of what was sent: each frame is acknowledged or lost exactly once.

    def _on_stream_delivery(
        self, state: QuicDeliveryState, stream: QuicStream, offset: int, data: bytes, fin: bool
    ) -> None:
        if state is ACKED:
            send = stream.send
            send.on_frame_delivery(True, offset, data, fin)
            if send.is_finished:
                self._table.forget_if_finished(stream)
            elif send.reset_pending:
                self._table.enqueue(stream)  # a plain reset had to wait for the header
        else:
            stream.send.on_frame_delivery(False, offset, data, fin)
            self._table.enqueue(stream)

    def _on_reset_delivery(self, state: QuicDeliveryState, stream: QuicStream) -> None:
        stream.send.on_reset_delivery(state is ACKED)
        if state is ACKED:
            self._table.forget_if_finished(stream)
        else:
            self._table.enqueue(stream)

    # A lost word of being blocked is repeated only while that is so (RFC 9000, 13.3).

    def _on_blocked_delivery(self, state: QuicDeliveryState, limit: int) -> None:
        if state is not ACKED:
            self._table.repeat_blocked(limit)

    def _on_streams_blocked_delivery(self, state: QuicDeliveryState, unidirectional: int, limit: int) -> None:
        if state is not ACKED:
            self._table.repeat_streams_blocked(limit, unidirectional=bool(unidirectional))

    def _on_stream_blocked_delivery(self, state: QuicDeliveryState, stream: QuicStream, limit: int) -> None:
        if state is not ACKED and stream.send.limit == limit:
            stream.send.blocked_at = -1
            self._table.enqueue(stream)

    def _on_stop_delivery(self, state: QuicDeliveryState, stream: QuicStream) -> None:
        if state is not ACKED:
            stream.receive.stop_pending = True
            self._table.enqueue(stream)

    def _on_window_delivery(self, state: QuicDeliveryState, stream: QuicStream) -> None:
        if state is not ACKED:
            stream.receive.window.announced = 0
            self._table.enqueue(stream)

    def _on_limit_delivery(self, state: QuicDeliveryState, limit: ReceiveWindow | StreamLimit) -> None:
        if state is not ACKED:
            limit.announced = 0
            self._table.limits_due = True
