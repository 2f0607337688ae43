# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The receiving side of the data path: from a UDP payload to streams, datagrams and loss recovery.

A packet is either dealt with completely or left, with nothing changed, to aioquic: whatever has a long header, comes from
elsewhere, belongs to another key phase, or has a frame that `parsing` does not know.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from ..._speedups._compiled.slots cimport PyType_GenericAlloc, PyTypeObject, fill_slot, slot_offset
from .frame_types cimport (
    ACK,
    ACK_ECN,
    DATAGRAM,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    MAX_STREAM_DATA,
    PING,
    RESET_STREAM,
    RESET_STREAM_AT,
    STOP_SENDING,
    STREAM,
    STREAM_DATA_BLOCKED,
    STREAM_FIN,
)
from .parsing cimport Frame, read_frame
from .protection cimport MAX_NUMBER_SIZE, decode_packet_number

from collections import deque

from ..aioquic_connection import MAX_EVENT_DATAGRAMS
from ..port import DatagramsArrived
from ..violations import TransportViolation

cdef enum:
    MAX_PAYLOAD = 16384  # bytes of a UDP payload that are read here
    MAX_HEADER = 1 + 20 + MAX_NUMBER_SIZE
    FORM_BITS = 0xC0
    SHORT_HEADER = 0x40  # with the fixed bit
    SPIN_BIT = 0x20
    RESERVED_BITS = 0x18
    KEY_PHASE_SHIFT = 2

cdef enum Outcome:
    LEFT = 0  # to aioquic, and nothing has changed
    READ = 1
    DROPPED = 2  # a duplicate, or not authentic, and nothing has changed

cdef object _append = deque.append  # without looking it up each time
cdef Py_ssize_t _MAX_EVENT_DATAGRAMS = MAX_EVENT_DATAGRAMS
cdef type _DatagramsArrived = DatagramsArrived
cdef Py_ssize_t _DATAGRAMS = slot_offset(DatagramsArrived, "datagrams")
if not _DATAGRAMS:
    raise ImportError("DatagramsArrived.datagrams is no slot: packet_reader fills it without the constructor")


cdef class PacketReader(HandshakeReader):
    """What a connection receives; see the module's docstring."""

    def take_datagram(self, data, addr, now):
        """Take one UDP payload; return whether anything in it could be read."""
        cdef int outcome = self.read_packet(data, addr, now)
        if outcome == LEFT:
            return super().take_datagram(data, addr, now)
        return outcome == READ

    def take_datagrams(self, datagrams, double now):
        """Take UDP payloads with their senders' addresses; one in which nothing can be read may be a reset."""
        cdef tuple datagram
        cdef list unread = None
        cdef int outcome
        for datagram in datagrams:
            outcome = self.read_packet(datagram[0], datagram[1], now)
            if outcome == LEFT and super().take_datagram(datagram[0], datagram[1], now):
                outcome = READ
            if outcome == READ:
                self.heard_at = now
            else:
                unread = unread or []
                unread.append(datagram)
        if unread is not None:
            self.receive_unread(unread, now)

    cdef int read_packet(self, object data, object address, double now) except -1:
        """Deal with a packet, unless it is none for the data path."""
        cdef unsigned char[MAX_PAYLOAD] payload
        cdef unsigned char[MAX_HEADER] header
        cdef const unsigned char* packet
        cdef Py_ssize_t size, header_size, payload_size, position, used
        cdef uint64_t number = 0
        cdef int number_size
        cdef bint is_eliciting = False
        cdef Frame frame
        if not PyBytes_CheckExact(data) or not self.reads_packets or not self.is_open() or not self.take_path():
            return LEFT
        size = PyBytes_GET_SIZE(data)
        packet = <const unsigned char*> PyBytes_AS_STRING(data)
        header_size = 1 + PyBytes_GET_SIZE(self.host_cid)
        if (
            size > MAX_PAYLOAD
            or size < header_size
            or packet[0] & FORM_BITS != SHORT_HEADER
            or memcmp(packet + 1, PyBytes_AS_STRING(self.host_cid), header_size - 1)
            or (address is not self.address and address != self.address)
        ):
            return LEFT
        number_size = self.read_keys.unmask(packet, size, header_size, header, &number)
        if number_size == 0 or header[0] & RESERVED_BITS or header[0] >> KEY_PHASE_SHIFT & 1 != self.key_phase:
            return LEFT
        number = decode_packet_number(number, number_size, self.space.largest_received_packet + 1)
        if self.space.received.is_duplicate(number):
            return DROPPED  # or not authentic: of no effect either way
        header_size += number_size
        payload_size = self.read_keys.open(
            header, header_size, packet + header_size, size - header_size, number, payload
        )
        if payload_size < 0:
            return DROPPED
        position = 0
        while position < payload_size:
            used = read_frame(payload + position, payload_size - position, &frame)
            if used == 0 or (frame.type >= DATAGRAM and used > self.max_datagram_frame):
                return LEFT
            is_eliciting |= frame.type > ACK_ECN or frame.type == PING
            position += used
        if payload_size == 0:
            return LEFT

        # From here on it is ours.
        self.packets_read += 1
        if <int64_t> number > self._spin_highest_pn:
            self._spin_bit = (header[0] & SPIN_BIT == 0) == self._is_client
            self._spin_highest_pn = number
        position = 0
        try:
            while position < payload_size:
                position += read_frame(payload + position, payload_size - position, &frame)
                self._act(&frame, now)
        except TransportViolation as exc:
            self.close(exc.error_code, frame.type, exc.reason)
        if self._close_pending:
            return READ
        self.close_at = now + self.idle_timeout()
        self._ack_eliciting_sent_since_receipt = False
        self.space.on_received(number, is_eliciting, now)
        return READ

    cdef int _act(self, Frame* frame, double now) except -1:
        cdef int kind = frame.type
        if STREAM <= kind < MAX_DATA:
            self.table.on_stream(frame.fields[0], frame.fields[1], frame.data, frame.size, kind & STREAM_FIN)
        elif kind >= DATAGRAM:
            self._take_datagram(frame)
        elif kind == ACK or kind == ACK_ECN:
            self.recovery.on_ack(self.space, frame.data, frame.size, kind == ACK_ECN, self._packet_number, now)
            self.recovery.drain()
        elif kind == MAX_STREAM_DATA:
            self.table.on_max_stream_data(frame.fields[0], frame.fields[1])
        elif kind == MAX_DATA:
            self.table.on_max_data(frame.fields[0])
        elif kind == MAX_STREAMS_BIDI or kind == MAX_STREAMS_UNI:
            self.table.raise_max_streams(frame.fields[0], kind == MAX_STREAMS_UNI)
        elif kind == RESET_STREAM:
            self.table.on_reset(frame.fields[0], frame.fields[1], frame.fields[2])
        elif kind == RESET_STREAM_AT:
            self.table.on_reset(frame.fields[0], frame.fields[1], frame.fields[2], frame.fields[3])
        elif kind == STOP_SENDING:
            self.table.on_stop_sending(frame.fields[0], frame.fields[1])
        elif kind == STREAM_DATA_BLOCKED:
            self.table.on_stream_data_blocked(frame.fields[0])
        return 0  # PADDING, PING, DATA_BLOCKED and STREAMS_BLOCKED ask for nothing

    cdef int _take_datagram(self, Frame* frame) except -1:
        cdef list datagrams
        data = PyBytes_FromStringAndSize(<const char*> frame.data, frame.size)
        if self._arrived is not None:
            datagrams = self._arrived.datagrams
            if len(datagrams) < _MAX_EVENT_DATAGRAMS:
                datagrams.append(data)
                return 0
        event = PyType_GenericAlloc(<PyTypeObject*> _DatagramsArrived, 0)  # without a call of its constructor
        fill_slot(event, _DATAGRAMS, [data])
        self._arrived = event
        _append(self._queue, event)
        return 0
