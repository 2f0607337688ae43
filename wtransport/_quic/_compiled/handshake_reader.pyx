# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The receiving side of a handshake: from a UDP payload to TLS and loss recovery.

A datagram is left to aioquic, with nothing changed, unless all of it is what a handshake is made of: Initial, Handshake
and 1-RTT packets of one version, for the connection id in use and from the address in use. The rules are aioquic's.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.math cimport INFINITY, isinf
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from .frame_types cimport ACK, ACK_ECN, CRYPTO, PADDING, PING
from .headers cimport KIND_HANDSHAKE, KIND_INITIAL, KIND_SHORT, Header, read_header
from .recovery cimport Recovery
from .space cimport PacketSpace
from .tls_reader cimport TlsReader

from aioquic._buffer import Buffer, BufferReadError
from aioquic.quic.connection import QuicConnectionError, QuicConnectionState, QuicNetworkPath, QuicReceiveContext
from aioquic.quic.crypto import CryptoError, KeyUnavailableError
from aioquic.quic.packet import NON_ACK_ELICITING_FRAME_TYPES, PROBING_FRAME_TYPES, QuicErrorCode, QuicFrameType
from aioquic.quic.stream import StreamFinishedError
from aioquic.tls import Epoch, State

from ..violations import TransportViolation

cdef enum:
    MAX_PACKETS = 8  # of a datagram that is read here
    MIN_INITIAL_DATAGRAM = 1200  # RFC 9000, 14.1
    LONG_HEADER = 0x80
    FIXED_BIT = 0x40
    SPIN_BIT = 0x20
    RESERVED_BITS_LONG = 0x0C
    RESERVED_BITS_SHORT = 0x18

cdef object _FIRSTFLIGHT = QuicConnectionState.FIRSTFLIGHT
cdef object _CONNECTED = QuicConnectionState.CONNECTED
cdef object _INITIAL = Epoch.INITIAL
cdef object _ZERO_RTT = Epoch.ZERO_RTT
cdef object _HANDSHAKE = Epoch.HANDSHAKE
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _EXPECT_SERVER_HELLO = State.CLIENT_EXPECT_SERVER_HELLO


cdef class HandshakeReader(TlsReader):
    """What a connection receives until its handshake is over; see the module's docstring."""

    def receive_datagram(self, data, addr, now):
        """Take one UDP payload."""
        cdef Header[MAX_PACKETS] headers
        cdef Py_ssize_t size
        cdef int count, i
        count = self._look_at(data, addr, headers) if PyBytes_CheckExact(data) else 0
        if not count:
            super().receive_datagram(data, addr, now)
            return
        size = PyBytes_GET_SIZE(data)
        path = self._network_paths[0] if self._network_paths else QuicNetworkPath(addr)
        if not path.is_validated:
            path.bytes_received += size
        if isinf(self.close_at):
            self.close_at = now + self._idle_timeout()
        for i in range(count):
            if not self._take_packet(data, &headers[i], path, now):
                return

    # What is in a datagram.

    cdef int _look_at(self, bytes data, object address, Header* headers) except -1:
        """Read the headers of a datagram's packets, and return how many; 0 when it is not for this reader."""
        cdef const unsigned char* bytes_ = <const unsigned char*> PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t position = 0
        cdef int count = 0
        if self._state is not _CONNECTED and self._state is not _FIRSTFLIGHT:
            return 0
        if not self.reads_packets or self._quic_logger is not None or len(self._network_paths) > 1:
            return 0
        if not self._network_paths:
            if self._is_client:
                return 0
        elif self._network_paths[0].addr != address:
            return 0
        while position < size:
            if not bytes_[position] & (LONG_HEADER | FIXED_BIT):
                break  # no packet: padding of the datagram
            if count == MAX_PACKETS or not read_header(
                bytes_, size, position, PyBytes_GET_SIZE(self.host_cid), &headers[count]
            ):
                return 0
            if not self._fits(bytes_, size, &headers[count]):
                return 0
            position = headers[count].end
            count += 1
        return count

    cdef bint _fits(self, const unsigned char* data, Py_ssize_t size, Header* header) except -1:
        """Tell whether a packet is one of this connection as it is now."""
        cdef bytes expected = self.host_cid
        cdef bint is_named = header.destination_size == PyBytes_GET_SIZE(expected) and not memcmp(
            data + header.destination, PyBytes_AS_STRING(expected), header.destination_size
        )
        cdef bint is_first = not self._is_client and self._state is _FIRSTFLIGHT
        if not is_named and (self._is_client or header.kind != KIND_INITIAL):
            return False
        if header.kind == KIND_SHORT:
            return True
        if header.kind == KIND_INITIAL and not self._is_client and size < MIN_INITIAL_DATAGRAM:
            return False
        known = self._configuration.supported_versions if is_first else (self._version,)
        return header.version in known and self._is_from_peer(data, header)

    cdef bint _is_from_peer(self, const unsigned char* data, Header* header) except -1:
        """Tell whether a packet names the server that a client has heard already (RFC 9000, 7.2)."""
        cdef bytes expected = self._remote_initial_source_connection_id if self._is_client else None
        return header.kind == KIND_SHORT or expected is None or (
            header.source_size == PyBytes_GET_SIZE(expected)
            and not memcmp(data + header.source, PyBytes_AS_STRING(expected), header.source_size)
        )

    # One packet.

    cdef bint _take_packet(self, bytes data, Header* header, object path, double now) except -1:
        """Deal with a packet; False when that was the last of its datagram that counts."""
        cdef PacketSpace space
        cdef bytes payload
        cdef int first_byte
        cdef int64_t number
        cdef bint is_eliciting
        cdef bytes destination = data[header.destination : header.destination + header.destination_size]
        cdef bint is_first = not self._is_client and self._state is _FIRSTFLIGHT
        if not self._is_from_peer(<const unsigned char*> PyBytes_AS_STRING(data), header):
            return True  # the packet before, in the same datagram, was the first one of the server
        if is_first:
            if header.kind != KIND_INITIAL:
                return False
            self._network_paths = [path]
            self._version = header.version
            self._initialize(destination)
        if header.kind == KIND_SHORT:
            epoch = _ONE_RTT
        else:
            epoch = _INITIAL if header.kind == KIND_INITIAL else _HANDSHAKE
        space = self._spaces[epoch]
        keys = self._cryptos_initial[header.version] if header.kind == KIND_INITIAL else self._cryptos[epoch]
        try:
            plain, payload, number = keys.decrypt_packet(
                data[header.start : header.end], header.number_offset, space.largest_received_packet + 1
            )
        except KeyUnavailableError as exc:
            self._logger.debug(exc)
            if (
                self._is_client
                and header.kind != KIND_INITIAL
                and self.tls.state is _EXPECT_SERVER_HELLO
                and not self._crypto_retransmitted
            ):
                # The server's Initial packet was lost.
                self._loss.reschedule_data(now=now, speed_up_handshake=True)
                self._crypto_retransmitted = True
            return True
        except CryptoError as exc:
            self._logger.debug(exc)
            return True
        if space.received.is_duplicate(number):
            return True
        first_byte = plain[0]
        if first_byte & (RESERVED_BITS_SHORT if header.kind == KIND_SHORT else RESERVED_BITS_LONG):
            self.close(QuicErrorCode.PROTOCOL_VIOLATION, QuicFrameType.PADDING, "Reserved bits must be zero")
            return False
        if header.kind == KIND_HANDSHAKE and not self._is_client:
            self._discard_epoch(_INITIAL)
        if self._peer_cid.sequence_number is None:
            self._peer_cid.cid = data[header.source : header.source + header.source_size]
            self._peer_cid.sequence_number = 0
        if self._state is _FIRSTFLIGHT:
            self._remote_initial_source_connection_id = data[header.source : header.source + header.source_size]
            self._set_state(_CONNECTED)
        if header.kind == KIND_SHORT and number > self._spin_highest_pn:
            self._spin_bit = (first_byte & SPIN_BIT == 0) == self._is_client
            self._spin_highest_pn = number
        context = QuicReceiveContext(
            epoch, destination, path, None, now, None if header.kind == KIND_SHORT else header.version
        )
        try:
            is_eliciting, _ = self._payload_received(context, payload, is_first)
        except QuicConnectionError as exc:
            self._logger.warning(exc)
            self.close(exc.error_code, exc.frame_type, exc.reason_phrase)
            return False
        if self._state is not _CONNECTED or self._close_pending:
            return False
        self.close_at = now + self._idle_timeout()
        self._ack_eliciting_sent_since_receipt = False
        if header.kind == KIND_HANDSHAKE and not path.is_validated:
            path.is_validated = True
        if not space.discarded:
            if number > space.largest_received_packet:
                space.largest_received_packet = number
                space.received_at = now
            space.received.note(number)
            if is_eliciting and space.ack_due == INFINITY:
                space.ack_due = now + <double> self._ack_delay
        return True

    # Its frames.

    def _payload_received(self, context, bytes plain not None, bint crypto_frame_required=False):
        """Act on a packet's frames; return whether it asks for an acknowledgement, and whether it only probes a path.

        Raises:
            QuicConnectionError: the peer broke a rule.
        """
        cdef const unsigned char* data = <const unsigned char*> PyBytes_AS_STRING(plain)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(plain)
        cdef Py_ssize_t position = 0, used
        cdef PacketSpace space
        cdef bint has_crypto = False, is_eliciting = False, is_probing = True
        epoch = context.epoch
        space = self._spaces[_ONE_RTT if epoch is _ZERO_RTT else epoch]
        buf = None
        while position < size:
            if data[position] == PADDING:
                while position < size and data[position] == PADDING:
                    position += 1
            elif data[position] == PING:
                position += 1
                is_eliciting, is_probing = True, False
            elif (data[position] == ACK or data[position] == ACK_ECN) and epoch is not _ZERO_RTT:
                position += 1 + self._take_ack(
                    context, space, data + position + 1, size - position - 1, data[position] == ACK_ECN
                )
                is_probing = False
            elif (
                data[position] == CRYPTO
                and epoch is not _ZERO_RTT
                and (used := self.take_crypto(context, data + position + 1, size - position - 1))
            ):
                position += 1 + used
                has_crypto = is_eliciting = True
                is_probing = False
            else:
                if buf is None:
                    buf = Buffer(data=plain)
                buf.seek(position)
                kind = self._act_on(context, buf)
                position = buf.tell()
                has_crypto |= kind == CRYPTO
                is_eliciting |= kind not in NON_ACK_ELICITING_FRAME_TYPES
                is_probing &= kind in PROBING_FRAME_TYPES
        if size == 0:
            raise QuicConnectionError(
                QuicErrorCode.PROTOCOL_VIOLATION, QuicFrameType.PADDING, "Packet contains no frames"
            )
        if crypto_frame_required and not has_crypto:
            raise QuicConnectionError(
                QuicErrorCode.PROTOCOL_VIOLATION, QuicFrameType.PADDING, "Packet contains no CRYPTO frame"
            )
        if is_eliciting and epoch is _ONE_RTT:
            space.note_ack_eliciting(context.time)
        return is_eliciting, is_probing

    cdef Py_ssize_t _take_ack(
        self, object context, PacketSpace space, const unsigned char* data, Py_ssize_t size, bint is_ecn
    ) except -1:
        """Take an ACK frame; return how many bytes it has behind its type."""
        cdef Recovery loss = self._loss
        cdef Py_ssize_t used
        if not loss.peer_completed_address_validation and context.epoch is not _INITIAL:
            loss.peer_completed_address_validation = True
        try:
            used = loss.on_ack(space, data, size, is_ecn, self._packet_number, context.time)
        except TransportViolation as exc:
            raise QuicConnectionError(exc.error_code, ACK_ECN if is_ecn else ACK, exc.reason) from exc
        loss.drain()
        return used

    cdef object _act_on(self, object context, object buf):
        """Have a frame handled by whom aioquic has for it, and return its type."""
        try:
            kind = buf.pull_uint_var()
        except BufferReadError:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, None, "Malformed frame type") from None
        try:
            handler, epochs = self._QuicConnection__frame_handlers[kind]
        except KeyError:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, kind, "Unknown frame type") from None
        if context.epoch not in epochs:
            raise QuicConnectionError(QuicErrorCode.PROTOCOL_VIOLATION, kind, "Unexpected frame type")
        try:
            handler(context, kind, buf)
        except BufferReadError:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, kind, "Failed to parse frame") from None
        except StreamFinishedError:
            pass  # nothing is kept of the stream: it is over
        return kind
