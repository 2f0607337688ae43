# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The packets that aioquic builds: those of a handshake, and what is rare later. Its ``QuicPacketBuilder`` in C.

A packet is written where it is sent from, and protected in place.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

from ..._speedups._compiled.wire cimport varint_length, write_varint
from .frame_buffer cimport FrameBuffer, SentRecord
from .frame_types cimport ACK, ACK_ECN, CRYPTO, PADDING
from .packet_keys cimport PacketPair
from .protection cimport MAX_NUMBER_SIZE, TAG_SIZE

from aioquic.quic.packet import QuicPacketType, QuicProtocolVersion
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicPacketBuilderStop
from aioquic.tls import Epoch

cdef enum:
    PATH_CHALLENGE = 0x1A
    PATH_RESPONSE = 0x1B
    TRANSPORT_CLOSE = 0x1C
    APPLICATION_CLOSE = 0x1D
    NUMBER_SIZE = 2  # of every packet
    LENGTH_SIZE = 2
    LONG_HEADER = 0xC0  # with the fixed bit
    SHORT_HEADER = 0x40
    SPIN_SHIFT = 5
    KEY_PHASE_SHIFT = 2
    MIN_PACKET_ROOM = 128  # with less left in a datagram another one begins

cdef object _INITIAL = QuicPacketType.INITIAL
cdef object _HANDSHAKE = QuicPacketType.HANDSHAKE
cdef object _ONE_RTT = QuicPacketType.ONE_RTT
cdef object _VERSION_2 = QuicProtocolVersion.VERSION_2
cdef object _EPOCH_INITIAL = Epoch.INITIAL
cdef object _EPOCH_HANDSHAKE = Epoch.HANDSHAKE
cdef object _EPOCH_ONE_RTT = Epoch.ONE_RTT
cdef object _Stop = QuicPacketBuilderStop


cdef class PacketBuilder:
    """Builds packets; see aioquic's ``QuicPacketBuilder``, whose arguments it has and whose packets it writes."""

    cdef public object max_flight_bytes
    cdef public object max_total_bytes
    cdef readonly object quic_logger_frames  # None
    cdef bytes _host_cid
    cdef bytes _peer_cid
    cdef bytes _peer_token
    cdef bint _is_client
    cdef bint _spin_bit
    cdef uint32_t _version
    # Datagrams and packets that are complete.
    cdef list _datagrams
    cdef list _packets
    cdef Py_ssize_t _flight_bytes
    cdef Py_ssize_t _total_bytes
    # The datagram.
    cdef FrameBuffer _buffer
    cdef Py_ssize_t _capacity
    cdef Py_ssize_t _flight_capacity
    cdef Py_ssize_t _datagram_flight_bytes
    cdef bint _begins_datagram
    cdef bint _needs_padding
    # The packet.
    cdef SentRecord _packet
    cdef PacketPair _keys
    cdef Py_ssize_t _start
    cdef Py_ssize_t _header_size
    cdef int64_t _number

    def __init__(
        self, *, bytes host_cid not None, bytes peer_cid not None, version, is_client, Py_ssize_t max_datagram_size,
        packet_number=0, bytes peer_token not None=b"", spin_bit=False,
    ):
        self._host_cid, self._peer_cid, self._peer_token = host_cid, peer_cid, peer_token
        self._is_client, self._spin_bit, self._version = is_client, spin_bit, version
        self._number = packet_number
        self._datagrams, self._packets = [], []
        self._buffer = FrameBuffer(max_datagram_size)
        self._capacity = self._flight_capacity = max_datagram_size
        self._begins_datagram = True

    @property
    def packet_is_empty(self):
        """Tell whether nothing was written into the packet so far."""
        return self._is_empty()

    @property
    def packet_number(self):
        """Return the number of the next packet."""
        return self._number

    @property
    def remaining_buffer_space(self):
        """Return how many bytes still fit into the packet."""
        return self._capacity - self._buffer.position - TAG_SIZE

    @property
    def remaining_flight_space(self):
        """Return how many bytes that count as in flight still fit into the packet."""
        return self._flight_capacity - self._buffer.position - TAG_SIZE

    cdef bint _is_empty(self) noexcept:
        return self._buffer.position - self._start <= self._header_size

    def flush(self):
        """Return the datagrams, and a record of each packet."""
        if self._packet is not None:
            self._end_packet()
        self._flush_datagram()
        datagrams, packets = self._datagrams, self._packets
        self._datagrams, self._packets = [], []
        return datagrams, packets

    def start_frame(self, int frame_type, Py_ssize_t capacity=1, handler=None, handler_args=()):
        """Begin a frame that needs at least `capacity` bytes; return where its fields are written.

        Raises:
            QuicPacketBuilderStop: there is less room, or the congestion window has less; nothing was written.
        """
        cdef SentRecord packet = self._packet
        cdef bint is_light = frame_type in (ACK, ACK_ECN, TRANSPORT_CLOSE, APPLICATION_CLOSE)
        cdef FrameBuffer buffer = self._buffer
        cdef Py_ssize_t used = buffer.position + TAG_SIZE
        if packet is None:
            raise AssertionError("no packet was begun")
        if self._is_empty() and capacity < MAX_NUMBER_SIZE - NUMBER_SIZE:
            capacity = MAX_NUMBER_SIZE - NUMBER_SIZE  # room for the padding of a packet that is short
        if self._capacity - used < capacity or (not is_light and self._flight_capacity - used < capacity):
            raise _Stop
        write_varint(buffer.place(varint_length(frame_type)), frame_type)
        if not is_light:
            packet.in_flight = True
            if frame_type != PADDING:
                packet.is_ack_eliciting = True
        if frame_type == CRYPTO:
            packet.is_crypto_packet = True
        elif frame_type == PATH_CHALLENGE or frame_type == PATH_RESPONSE:
            self._needs_padding = True  # RFC 9000, 8.2.1 and 8.2.2
        if handler is not None:
            packet.delivery_handlers.append((handler, handler_args))
        return buffer

    def start_packet(self, packet_type, PacketPair crypto not None):
        """Begin a packet, which takes the place of one that is empty.

        Raises:
            QuicPacketBuilderStop: no packet of that kind fits.
        """
        cdef SentRecord packet
        cdef Py_ssize_t header_size, left
        if self._packet is not None:
            self._end_packet()
        if self._capacity - self._buffer.position < MIN_PACKET_ROOM:
            self._flush_datagram()
        # The padding of this datagram would be in a short packet, and so count as in flight (RFC 9002, 2).
        if packet_type is _ONE_RTT and self._needs_padding and self._flight_capacity < self._capacity:
            self._flush_datagram()
        if self._begins_datagram:
            if self.max_total_bytes is not None:
                left = self.max_total_bytes - self._total_bytes
                self._capacity = min(self._capacity, left)
            self._flight_capacity = self._capacity
            if self.max_flight_bytes is not None:
                left = self.max_flight_bytes - self._flight_bytes
                self._flight_capacity = min(self._flight_capacity, left)
            self._datagram_flight_bytes = 0
            self._begins_datagram = self._needs_padding = False
        header_size = 1 + PyBytes_GET_SIZE(self._peer_cid) + NUMBER_SIZE
        if packet_type is not _ONE_RTT:
            header_size += 4 + 1 + 1 + PyBytes_GET_SIZE(self._host_cid) + LENGTH_SIZE
            if packet_type is _INITIAL:
                left = PyBytes_GET_SIZE(self._peer_token)
                header_size += varint_length(left) + left
        if self._buffer.position + header_size >= self._capacity:
            raise _Stop
        packet = SentRecord.__new__(SentRecord)
        if packet_type is _INITIAL:
            packet.epoch = _EPOCH_INITIAL
        else:
            packet.epoch = _EPOCH_HANDSHAKE if packet_type is _HANDSHAKE else _EPOCH_ONE_RTT
        packet.packet_number = self._number
        packet.packet_type = packet_type
        packet.delivery_handlers = []
        self._packet, self._keys = packet, crypto
        self._start, self._header_size = self._buffer.position, header_size
        self._buffer.position += header_size

    cdef int _end_packet(self) except -1:
        """Protect the packet, or take it back when it is empty."""
        cdef SentRecord packet = self._packet
        cdef FrameBuffer buffer = self._buffer
        cdef Py_ssize_t size = buffer.position - self._start - self._header_size
        cdef Py_ssize_t padding = MAX_NUMBER_SIZE - NUMBER_SIZE - size
        cdef bint is_short = packet.packet_type is _ONE_RTT
        cdef unsigned char* out
        self._packet = None
        if size <= 0:
            buffer.position = self._start
            return 0
        if packet.packet_type is _INITIAL and (self._is_client or packet.is_ack_eliciting):
            self._needs_padding = True  # RFC 9000, 14.1
        if self._needs_padding and is_short:
            padding = max(padding, self._flight_capacity - buffer.position - TAG_SIZE)
            self._needs_padding = False
        if padding > 0:
            memset(buffer.place(padding), 0, padding)
            size += padding
            packet.in_flight = True
        if is_short:
            if self._keys._update_key_requested:
                self._keys._update("local_update")
        buffer.place(TAG_SIZE)
        out = buffer.data + self._start
        self._write_header(out, packet.packet_type, size)
        if self._keys.send.aead is None:
            raise AssertionError("Encryption key is not available")
        self._keys.send.aead.seal(out, self._header_size, size, NUMBER_SIZE, self._number)
        packet.sent_bytes = self._header_size + size + TAG_SIZE
        self._packets.append(packet)
        if packet.in_flight:
            self._datagram_flight_bytes += packet.sent_bytes
        self._number += 1
        if is_short:
            self._flush_datagram()  # nothing can follow it
        return 0

    cdef int _write_header(self, unsigned char* out, packet_type, Py_ssize_t size) except -1:
        cdef Py_ssize_t length
        cdef int kind
        if packet_type is _ONE_RTT:
            out[0] = (
                SHORT_HEADER | self._spin_bit << SPIN_SHIFT | self._keys.send.key_phase << KEY_PHASE_SHIFT
                | (NUMBER_SIZE - 1)
            )
            length = PyBytes_GET_SIZE(self._peer_cid)
            memcpy(out + 1, PyBytes_AS_STRING(self._peer_cid), length)
            out += 1 + length
        else:
            kind = 0 if packet_type is _INITIAL else 2 if packet_type is _HANDSHAKE else 1
            if self._version == _VERSION_2:
                kind = (kind + 1) & 3  # RFC 9369, 3.2
            out[0] = LONG_HEADER | kind << 4 | (NUMBER_SIZE - 1)
            for i in range(4):
                out[1 + i] = self._version >> (8 * (3 - i)) & 0xFF
            out += 5
            for cid in (self._peer_cid, self._host_cid):
                length = PyBytes_GET_SIZE(cid)
                out[0] = <unsigned char> length
                memcpy(out + 1, PyBytes_AS_STRING(cid), length)
                out += 1 + length
            if packet_type is _INITIAL:
                length = PyBytes_GET_SIZE(self._peer_token)
                out += write_varint(out, length)
                memcpy(out, PyBytes_AS_STRING(self._peer_token), length)
                out += length
            length = NUMBER_SIZE + size + TAG_SIZE
            out[0], out[1] = 0x40 | length >> 8, length & 0xFF
            out += 2
        out[0], out[1] = self._number >> 8 & 0xFF, self._number & 0xFF
        return 0

    cdef int _flush_datagram(self) except -1:
        cdef FrameBuffer buffer = self._buffer
        cdef Py_ssize_t extra
        if not buffer.position:
            return 0
        if self._needs_padding:
            # Behind the last packet, so not in flight; it counts for anti-amplification.
            extra = self._capacity - buffer.position
            if extra > 0:
                memset(buffer.place(extra), 0, extra)
        self._datagrams.append(PyBytes_FromStringAndSize(<char*> buffer.data, buffer.position))
        self._flight_bytes += self._datagram_flight_bytes
        self._total_bytes += buffer.position
        self._begins_datagram = True
        buffer.position = 0
        return 0


def make_builder(*, quic_logger=None, **options):
    """Return a builder for a connection; aioquic's own for one that writes a log."""
    if quic_logger is not None:
        return QuicPacketBuilder(quic_logger=quic_logger, **options)
    return PacketBuilder(**options)
