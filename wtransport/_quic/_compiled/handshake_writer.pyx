# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The sending side of a handshake, and of what follows it at once: packets of all kinds of keys, put into the builder.

The rules are those of ``datagrams_to_send`` in ``_quic/aioquic_connection.py`` and its base classes, to which all is left
that is no part of a handshake that goes well: a close, probes, other paths, a log.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.math cimport INFINITY, isinf
from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport varint_length
from .frame_buffer cimport FrameBuffer, SentRecord
from .frame_types cimport ACK, CRYPTO
from .packet_keys cimport PacketPair
from .recovery cimport Recovery
from .space cimport PacketSpace

from aioquic.quic.connection import (
    ACK_FRAME_CAPACITY,
    HANDSHAKE_DONE_FRAME_CAPACITY,
    NEW_CONNECTION_ID_FRAME_CAPACITY,
    QuicConnectionState,
)
from aioquic.quic.events import ConnectionIdIssued
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilderStop
from aioquic.tls import Epoch

from ..aioquic_connection import RIDE_ROOM, RIDE_TIME
from ..path_mtu import BASE_UDP_PAYLOAD
from ..port import DatagramsDrained
from .packet_builder import make_builder

cdef enum:
    NEW_CONNECTION_ID = 0x18
    HANDSHAKE_DONE = 0x1E
    AMPLIFICATION = 3  # RFC 9000, 8.1
    CRYPTO_OVERHEAD = 3  # type and length of a CRYPTO frame

cdef object _FIRSTFLIGHT = QuicConnectionState.FIRSTFLIGHT
cdef object _CONNECTED = QuicConnectionState.CONNECTED
cdef object _EPOCH_INITIAL = Epoch.INITIAL
cdef object _EPOCH_HANDSHAKE = Epoch.HANDSHAKE
cdef object _INITIAL = QuicPacketType.INITIAL
cdef object _HANDSHAKE = QuicPacketType.HANDSHAKE
cdef object _ONE_RTT = QuicPacketType.ONE_RTT
cdef object _Stop = QuicPacketBuilderStop
cdef int _ACK_CAPACITY = ACK_FRAME_CAPACITY
cdef int _DONE_CAPACITY = HANDSHAKE_DONE_FRAME_CAPACITY
cdef int _ID_CAPACITY = NEW_CONNECTION_ID_FRAME_CAPACITY
cdef int64_t _BASE_SIZE = BASE_UDP_PAYLOAD
cdef double _RIDE_TIME = RIDE_TIME
cdef Py_ssize_t _RIDE_ROOM = RIDE_ROOM


cdef class HandshakeWriter(PacketReader):
    """What a connection sends until its handshake is over; see the module's docstring."""

    def datagrams_to_send(self, now):
        """Return the UDP payloads to send, with their destinations."""
        cdef Recovery loss
        cdef int64_t flight
        if not self._may_build():
            return super().datagrams_to_send(now)
        if self._handshake_confirmed and not self._is_due(now):
            self.pacing_at = INFINITY
            return []
        path = self._network_paths[0]
        if path is not self._path:
            self._take_path(path)
        if path.bytes_sent >= self._path_mtu.check_at:
            return super().datagrams_to_send(now)
        builder = make_builder(
            host_cid=self.host_cid,
            is_client=self._is_client,
            max_datagram_size=self._max_datagram_size,
            packet_number=self._packet_number,
            peer_cid=self._peer_cid.cid,
            peer_token=self._peer_token,
            spin_bit=self._spin_bit,
            version=self._version,
        )
        self.pacing_at = INFINITY  # an older time is of no use if something else than the pacer holds packets back
        loss = self._loss
        flight = loss.congestion_window - loss.bytes_in_flight
        if flight < self._max_datagram_size and (self._probe_pending or self._handshake_data_stranded()):
            flight = self._max_datagram_size
        builder.max_flight_bytes = flight
        if not path.is_validated:
            builder.max_total_bytes = AMPLIFICATION * path.bytes_received - path.bytes_sent
        try:
            if not self._handshake_confirmed:
                self._write_early(builder, _EPOCH_INITIAL, now)
                self._write_early(builder, _EPOCH_HANDSHAKE, now)
            self._write_late(builder, now)
        except _Stop:
            pass
        return self._sent(builder, path, now)

    cdef bint _may_build(self) except -1:
        if (
            not self.writes_packets
            or len(self._network_paths) != 1
            or self._close_pending
            or (self._state is not _CONNECTED and self._state is not _FIRSTFLIGHT)
            or self._quic_logger is not None
            or self._application_keys is None
            or self._remote_preferred_address is not None
        ):
            return False
        if self._probe_pending and (self._handshake_confirmed or self._max_datagram_size > _BASE_SIZE):
            return False
        path = self._network_paths[0]
        return not path.remote_challenges and (path.is_validated or not self._handshake_complete)

    cdef bint _is_due(self, double now) except -1:
        """Whether a 1-RTT packet is due for a frame or an acknowledgement."""
        cdef PacketSpace space = self._application_space
        return (
            self._writer.has_frames()
            or space.ack_due <= now
            or self._connection_ids_due
            or self._handshake_done_pending
            or len(self._ping_pending) != 0
            or len(self._retire_connection_ids) != 0
            or not self._application_tls.sender.buffer_is_empty
        )

    cdef int _write_early(self, object builder, object epoch, double now) except -1:
        """Write packets with keys of the handshake; none for which there is nothing."""
        cdef PacketPair keys = self._cryptos[epoch]
        cdef PacketPair next_keys
        cdef PacketSpace space
        cdef bint has_ack, has_data, is_initial = epoch is _EPOCH_INITIAL
        if keys.send.aead is None:
            return 0
        space = self._spaces[epoch]
        sender = self._crypto_streams[epoch].sender
        has_ack, has_data = not isinf(space.ack_due), not sender.buffer_is_empty
        while has_ack or has_data or self._probe_pending:
            builder.start_packet(_INITIAL if is_initial else _HANDSHAKE, keys)
            if has_ack:
                self._write_acknowledgement(builder, space, now)
            if has_data and self._write_crypto(builder, sender):
                self._probe_pending = False
            if self._probe_pending and not self._handshake_complete:
                next_keys = self._cryptos[_EPOCH_HANDSHAKE]
                if not is_initial or next_keys.send.aead is None:
                    self._write_ping_frame(builder, comment="probe")
                    self._probe_pending = False
            if builder.packet_is_empty:
                break
            has_ack, has_data = not isinf(space.ack_due), not sender.buffer_is_empty
        return 0

    cdef int _write_late(self, object builder, double now) except -1:
        """Write 1-RTT packets until there is nothing to write, or no more may be sent now.

        Raises:
            QuicPacketBuilderStop: the anti-amplification limit leaves no room for another packet.
        """
        cdef PacketPair keys = self._application_keys
        cdef PacketSpace space = self._application_space
        cdef Recovery loss = self._loss
        cdef double due
        cdef bint has_more
        if keys.send.aead is None:
            return 0
        self._writer.size_turns(loss.congestion.window)
        try:
            while True:
                due = space.ack_due
                if due > now:  # acknowledgements that are due are not paced (RFC 9002, 7.7)
                    self._pacing_at = loss.next_send_time(now)
                    if not isinf(self.pacing_at):
                        break
                builder.start_packet(_ONE_RTT, keys)
                has_more = True
                try:
                    # One that is due soon rides along with whatever goes out anyway.
                    if due <= now or (
                        due <= now + _RIDE_TIME
                        and self._writer.has_frames()
                        and <Py_ssize_t> builder.remaining_flight_space >= _RIDE_ROOM
                    ):
                        self._write_acknowledgement(builder, space, now)
                    if self._handshake_complete:
                        self._write_for_connection(builder)
                    if self._ping_pending:
                        self._write_ping_frame(builder, self._ping_pending)
                        self._ping_pending.clear()
                    if self._probe_pending:
                        self._write_ping_frame(builder, comment="probe")
                        self._probe_pending = False
                    if not self._application_tls.sender.buffer_is_empty:
                        self._write_crypto(builder, self._application_tls.sender)
                    self._writer.write(builder)
                    has_more = self._writer.has_frames()
                except _Stop:
                    if builder.packet_is_empty:
                        if self._writer.drop_oversized_datagrams(self.packet_room):
                            continue
                        break  # the congestion window or the anti-amplification limit is used up
                if builder.packet_is_empty:
                    break
                loss.on_paced(now)
                if not has_more and self._handshake_complete:
                    self.pacing_at = INFINITY
                    break
        finally:
            if self._datagrams_refused and len(self._writer.datagrams) <= self._max_queued_datagrams // 2:
                self._datagrams_refused = False
                self._queue.append(DatagramsDrained())
        return 0

    cdef int _write_for_connection(self, object builder) except -1:
        """Write what concerns the connection as a whole."""
        cdef FrameBuffer out
        if self._handshake_done_pending:
            builder.start_frame(HANDSHAKE_DONE, _DONE_CAPACITY, self._on_handshake_done_delivery)
            self._handshake_done_pending = False
        if self._connection_ids_due:
            for each in self._host_cids:
                if not each.was_sent:
                    handler = self._on_new_connection_id_delivery
                    out = builder.start_frame(NEW_CONNECTION_ID, _ID_CAPACITY, handler, (each,))
                    out.push_uint_var(each.sequence_number)
                    out.push_uint_var(0)  # none is retired
                    out.push_uint8(len(each.cid))
                    out.push_bytes(each.cid)
                    out.push_bytes(each.stateless_reset_token)
                    each.was_sent = True
                    self._newest_sent_id = max(self._newest_sent_id, each.sequence_number)
                    self._events.append(ConnectionIdIssued(each.cid))
            self._connection_ids_due = False
        while self._retire_connection_ids:
            self._write_retire_connection_id_frame(builder=builder, sequence_number=self._retire_connection_ids[0])
            self._retire_connection_ids.pop(0)
        self._writer.write_limits(builder)
        return 0

    cdef int _write_acknowledgement(self, object builder, PacketSpace space, double now) except -1:
        cdef tuple about = (space, space.largest_received_packet)
        cdef FrameBuffer out = builder.start_frame(ACK, _ACK_CAPACITY, self._on_ack_delivery, about)
        # The builder has written the type.
        out.push_bytes(space.ack_frame(builder.remaining_buffer_space + 1, now, self._local_ack_delay_exponent)[1:])
        # Only what asks for an acknowledgement of the acknowledgement makes the ranges fewer.
        if space.received.count > 1 and builder.packet_number % 8 == 0:
            self._write_ping_frame(builder, comment="ACK-of-ACK trigger")
        return 0

    cdef bint _write_crypto(self, object builder, object sender) except -1:
        cdef Py_ssize_t overhead = CRYPTO_OVERHEAD + varint_length(sender.next_offset)
        cdef Py_ssize_t start, size
        cdef FrameBuffer out
        frame = sender.take_frame(builder.remaining_flight_space - overhead)
        if frame is None:
            return False
        start, data = frame
        size = PyBytes_GET_SIZE(data)
        out = builder.start_frame(CRYPTO, overhead, sender.on_data_delivery, (start, start + size, False))
        out.push_uint_var(start)
        out.push_uint16(size | 0x4000)
        out.push_bytes(data)
        return True

    cdef list _sent(self, object builder, object path, double now):
        """Take note of the packets that were built; return the datagrams that they make, with their destination."""
        cdef SentRecord packet
        cdef list sent = []
        cdef bint has_handshake = False
        datagrams, packets = builder.flush()
        if not datagrams:
            return sent
        self._packet_number = builder.packet_number
        for packet in packets:
            packet.sent_time = now
            self._loss.on_packet_sent(packet=packet, space=self._spaces[packet.epoch])
            if packet.epoch is _EPOCH_HANDSHAKE:
                has_handshake = True
            # The first that asks for an answer since something was received (RFC 9000, 10.1).
            if packet.is_ack_eliciting and not self._ack_eliciting_sent_since_receipt:
                self.close_at = now + <double> self._idle_timeout()
                self._ack_eliciting_sent_since_receipt = True
        if has_handshake and self._is_client:
            self._discard_epoch(_EPOCH_INITIAL)
        address = path.addr
        for data in datagrams:
            path.bytes_sent += PyBytes_GET_SIZE(data)
            sent.append((data, address))
        return sent
