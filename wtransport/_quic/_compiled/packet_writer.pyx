# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The sending side of the data path: from streams, datagrams and acknowledgements to UDP payloads.

While anything else is due, a PING or a frame of paths, connection ids or TLS, aioquic's way is taken, which sends all of
it.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from .crypto_sender cimport CryptoSender
from .frame_types cimport PING
from .packet_keys cimport PacketPair
from .protection cimport MAX_NUMBER_SIZE, TAG_SIZE
from .sent cimport FRAME_ACK, FrameList, frames_free, frames_push

from aioquic.quic.connection import QuicConnectionState

from ..aioquic_connection import RIDE_ROOM, RIDE_TIME
from ..port import DatagramsDrained

MAX_BATCH = 64
"""Packets of one call; as many as UDP segmentation offload takes at a time. The rest follow at once."""

cdef enum:
    MAX_PACKET = 16384  # bytes of the largest packet that is written here
    SHORT_HEADER = 0x40
    SPIN_SHIFT = 5
    KEY_PHASE_SHIFT = 2
    LOCAL_EXPONENT = 3  # ack_delay_exponent, as aioquic announces it
    SHORT_NUMBER = 2  # bytes of a packet number, as a rule
    FAR_NUMBERS = 1 << 15  # packets under way from which two bytes of a number are not enough (RFC 9000, A.2)
    MAX_FILLING = 64  # bytes of padding that make a packet as long as the one before it

cdef object _FIRSTFLIGHT = QuicConnectionState.FIRSTFLIGHT
cdef object _CONNECTED = QuicConnectionState.CONNECTED
cdef double _RIDE_TIME = RIDE_TIME
cdef Py_ssize_t _RIDE_ROOM = RIDE_ROOM
cdef Py_ssize_t _MAX_BATCH = MAX_BATCH


cdef class PacketWriter(HandshakeWriter):
    """What a connection sends; see the module's docstring."""

    def datagrams_to_send(self, double now):
        """Return the UDP payloads to send, with their destinations."""
        cdef list datagrams
        if not self._network_paths:
            return []
        if self._state is not _CONNECTED and self._state is not _FIRSTFLIGHT and not self._close_pending:
            self.pacing_at = INFINITY
            return []
        if not self.may_write():
            return super().datagrams_to_send(now)
        self.pacing_at = INFINITY
        if not self._writer.has_frames() and self.space.ack_due > now:
            return []
        datagrams = []
        if self.path.bytes_sent >= self._path_mtu.check_at:
            datagrams += self._probe_datagrams(self.path, now)
        self.write_packets(datagrams, now)
        return datagrams

    cdef bint may_write(self) except -1:
        return self.writes_packets and self.is_open() and self.take_path() and self._is_plain()

    cdef bint _is_plain(self) except -1:
        """Whether nothing is due that only aioquic's way writes."""
        cdef PacketPair keys = self._application_keys
        if (
            self._probe_pending
            or self._connection_ids_due
            or self._handshake_done_pending
            or self._ping_pending
            or self._retire_connection_ids
            or self._remote_preferred_address is not None
            or self._path is not self.path
            or self._max_datagram_size > MAX_PACKET
            or self.challenges
            or keys._update_key_requested
            or not self._has_no_crypto()
        ):
            return False
        if len(self._network_paths) == 1:
            return True
        for path in self._network_paths[1:]:
            if path.remote_challenges or not (path.is_validated or path.local_challenge_sent):
                return False
        return True

    cdef bint _has_no_crypto(self) except -1:
        cdef object sender = self.crypto_sender
        return (<CryptoSender> sender).is_empty() if isinstance(sender, CryptoSender) else sender.buffer_is_empty

    cdef bytes _identity(self):
        """The peer's connection id in use, which is the same object as long as it is the same id."""
        if self._peer_cid is not self.peer_identity:
            self.peer_identity_bytes = self._peer_cid.cid
            self.peer_identity = self._peer_cid
        return self.peer_identity_bytes

    cdef int write_packets(self, list datagrams, double now) except -1:
        """Append packets until there is nothing more to write, or no more may be sent now."""
        cdef unsigned char[MAX_PACKET] packet
        cdef FrameList frames
        cdef bytes identity = self._identity()
        cdef Py_ssize_t identity_size = PyBytes_GET_SIZE(identity)
        cdef Py_ssize_t header_size, room, flight, size, before = 0, sent = 0, count = 0
        cdef int number_size
        cdef bint is_eliciting, in_flight
        cdef double send_at
        frames.items = NULL
        frames.count = frames.capacity = 0
        memcpy(packet + 1, PyBytes_AS_STRING(identity), identity_size)
        self._writer.size_turns(self.recovery.congestion.window)
        try:
            while self.space.ack_due <= now or self._writer.has_frames():
                if self.space.ack_due > now:
                    send_at = self.recovery.send_time(now)  # acknowledgements that are due are not paced (RFC 9002, 7.7)
                    if send_at > now:
                        self.pacing_at = send_at
                        break
                if count == _MAX_BATCH:
                    self.pacing_at = now
                    break
                number_size = SHORT_NUMBER
                if self._packet_number - self.space.largest_acked_packet >= FAR_NUMBERS:
                    number_size = MAX_NUMBER_SIZE
                header_size = 1 + identity_size + number_size
                room = self._max_datagram_size - header_size - TAG_SIZE
                flight = min(room, self.recovery.room() - header_size - TAG_SIZE)
                is_eliciting = False
                size = self._write_frames(packet + header_size, room, flight, now, &frames, &is_eliciting)
                if size == 0:
                    if flight == room and self._writer.has_frames():
                        if self._writer.drop_oversized_datagrams(room + number_size - SHORT_NUMBER):
                            continue
                        if not self.space.ack_eliciting_in_flight:
                            # It fits beside a short number: aioquic writes it, and an acknowledgement is asked for.
                            self.send_ping(0)
                            self.pacing_at = now
                    break  # the congestion window is used up
                in_flight = is_eliciting
                if 0 < before - size <= MAX_FILLING and before <= flight and is_eliciting and self._writer.has_frames():
                    memset(packet + header_size + size, 0, before - size)
                    size = before
                elif size + number_size < MAX_NUMBER_SIZE:
                    memset(packet + header_size + size, 0, MAX_NUMBER_SIZE - number_size - size)
                    size = MAX_NUMBER_SIZE - number_size
                    in_flight = True
                before = size
                datagrams.append((self._seal(packet, header_size, number_size, size), self.address))
                size += header_size + TAG_SIZE
                self.recovery.on_sent(self.space, self._packet_number, size, is_eliciting, in_flight, &frames, now)
                self._packet_number += 1
                self.packets_written += 1
                sent += size
                count += 1
                if is_eliciting and not self._ack_eliciting_sent_since_receipt:
                    self.close_at = now + self.idle_timeout()
                    self._ack_eliciting_sent_since_receipt = True
        finally:
            frames_free(&frames)
            if sent:
                self.path.bytes_sent += sent
        if self._datagrams_refused and len(self._writer.datagrams) <= self._max_queued_datagrams // 2:
            self._datagrams_refused = False
            self._queue.append(DatagramsDrained())
        if self.write_keys.sealed >= self.key_update_after:
            # Not before the peer has shown that it has the keys of now (RFC 9001, 6.2): it may have to be asked.
            if self.space.largest_acked_packet >= <int64_t> self.write_keys.first_sealed:
                self._application_keys.update_key()
            elif not self.space.ack_eliciting_in_flight:
                self.send_ping(0)
        return 0

    cdef Py_ssize_t _write_frames(
        self, unsigned char* body, Py_ssize_t room, Py_ssize_t flight, double now, FrameList* frames, bint* is_eliciting
    ) except -1:
        """Write a packet's payload, and return its size.

        `room` is what fits into the packet, `flight` what the congestion window leaves for all but acknowledgements.
        """
        cdef Py_ssize_t size = 0, written
        cdef double due = self.space.ack_due
        # An acknowledgement that is due soon rides along with whatever goes out anyway.
        if due <= now or (due <= now + _RIDE_TIME and flight >= _RIDE_ROOM and self._writer.has_frames()):
            size = self.space.write_ack(body, room, now, LOCAL_EXPONENT)
            if size:
                frames_push(frames, FRAME_ACK, None).offset = self.space.ack_largest
                if self.space.received.count > 1 and self._packet_number % 8 == 0 and size < flight:
                    body[size] = PING  # so that the acknowledgement is acknowledged, and old ranges can go
                    size += 1
                    is_eliciting[0] = True
        if flight > size:
            written = self._writer.fill(body + size, flight - size, frames)
            if written:
                size += written
                is_eliciting[0] = True
        return size

    cdef object _seal(self, unsigned char* packet, Py_ssize_t header_size, int number_size, Py_ssize_t size):
        """Return the protected packet, whose frames and connection id are in place."""
        cdef Py_ssize_t whole = header_size + size
        cdef unsigned char* number = packet + header_size - number_size
        cdef unsigned char* out
        cdef int i
        packet[0] = SHORT_HEADER | self._spin_bit << SPIN_SHIFT | self.key_phase << KEY_PHASE_SHIFT | (number_size - 1)
        for i in range(number_size):
            number[i] = self._packet_number >> (8 * (number_size - 1 - i)) & 0xFF
        data = PyBytes_FromStringAndSize(NULL, whole + TAG_SIZE)
        out = <unsigned char*> PyBytes_AS_STRING(data)
        memcpy(out, packet, whole)
        self.write_keys.seal(out, header_size, size, number_size, self._packet_number)
        return data
