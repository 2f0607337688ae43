# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Bytes of TLS as they arrive: in order, and not too many. All else about CRYPTO frames is aioquic's way.

And what else of a handshake takes a step or two, by aioquic's names and rules.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport INFINITY, isinf
from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint
from .connection_state cimport ConnectionState
from .frame_types cimport CRYPTO
from .packet_keys cimport PacketContext, PacketPair
from .space cimport PacketSpace

from aioquic._buffer import BufferReadError
from aioquic.quic import connection as aioquic_connection
from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.crypto import NoCallback
from aioquic.quic.events import HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import Alert, Direction, Epoch, State

from ..violations import TransportViolation

cdef enum:
    FIN_BIT = 1  # of the type of a STREAM frame
    LENGTH_BIT = 2
    OFFSET_BIT = 4
    MAX_MESSAGES = 16 * 1024  # bytes; what is larger is for `hardened_connection` to judge

cdef object _ENCRYPT = Direction.ENCRYPT
cdef object _INITIAL = Epoch.INITIAL
cdef object _ZERO_RTT = Epoch.ZERO_RTT
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _CLIENT_DONE = State.CLIENT_POST_HANDSHAKE
cdef object _SERVER_DONE = State.SERVER_POST_HANDSHAKE


cdef class TlsReader(ConnectionState):
    """What a connection receives of TLS; see the module's docstring."""

    def take_datagram(self, data, addr, now):
        """Take one UDP payload; return whether anything in it could be read."""
        cdef double closes_at = self.close_at
        cdef double unmoved = INFINITY if isinf(closes_at) else 0.0
        self.close_at = unmoved  # every valid packet moves it, if only back to where it was
        self.receive_datagram(data, addr, now)
        if self.close_at != unmoved:
            return True
        self.close_at = closes_at
        return False

    def _handle_stream_frame(self, context, int frame_type, buf):
        stream_id = buf.pull_uint_var()
        offset = buf.pull_uint_var() if frame_type & OFFSET_BIT else 0
        length = buf.pull_uint_var() if frame_type & LENGTH_BIT else buf.capacity - buf.tell()
        try:
            self.table.on_stream_frame(stream_id, offset, buf.pull_bytes(length), frame_type & FIN_BIT != 0)
        except TransportViolation as exc:
            raise QuicConnectionError(exc.error_code, frame_type, exc.reason) from exc

    def _push_crypto_data(self):
        self._push_answers()

    def _set_state(self, state):
        self._logger.debug("%s -> %s", self._state, state)
        self._state = state

    def _discard_epoch(self, epoch):
        cdef PacketSpace space = self._spaces[epoch]
        if space.discarded:
            return
        self._logger.debug("Discarding epoch %s", epoch)
        self._cryptos[epoch].teardown()
        if epoch is _INITIAL:
            for pair in self._cryptos_initial.values():  # which are not to tell of it once more
                pair.recv._teardown_cb = pair.send._teardown_cb = NoCallback
                pair.teardown()
        self._loss.discard_space(space)
        space.discarded = True

    cdef Py_ssize_t take_crypto(self, object context, const unsigned char* data, Py_ssize_t size) except -1:
        """Take a CRYPTO frame; return how many bytes it has behind its type, or 0 when it is left, and nothing changed.

        Raises:
            QuicConnectionError: TLS refuses what is in it.
        """
        cdef int64_t offset = 0, length = 0
        cdef int used = read_varint(data, size, &offset)
        cdef int more = read_varint(data + used, size - used, &length) if used else 0
        if not more or length == 0 or length > size - used - more:
            return 0
        receiver = self._crypto_streams[context.epoch].receiver
        tls = self.tls
        if offset != receiver._buffer_start or receiver._buffer or length + len(tls._receive_buffer) > MAX_MESSAGES:
            return 0
        receiver._buffer_start = offset + length
        if offset + length > receiver.highest_offset:
            receiver.highest_offset = offset + length
        self._crypto_frame_type = CRYPTO
        self._crypto_packet_version = context.version
        try:
            tls.handle_message(PyBytes_FromStringAndSize(<const char*> data + used + more, length), self._crypto_buffers)
            self._push_answers()
        except Alert as exc:
            raise QuicConnectionError(QuicErrorCode.CRYPTO_ERROR + int(exc.description), CRYPTO, str(exc)) from exc
        except BufferReadError:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, CRYPTO, "Failed to parse frame") from None
        if not self._handshake_complete and (tls.state is _CLIENT_DONE or tls.state is _SERVER_DONE):
            self._complete_handshake()
        return used + more + length

    cdef int _push_answers(self) except -1:
        """Have what TLS has written sent."""
        streams = self._crypto_streams
        for epoch, buf in self._crypto_buffers.items():
            if buf.tell():
                streams[epoch].sender.write(buf.data)
                buf.seek(0)
        return 0

    cdef int _complete_handshake(self) except -1:
        tls = self.tls
        self._handshake_complete = True
        if not self._is_client:
            self._confirm_handshake()
            self._handshake_done_pending = True
        self._replenish_connection_ids()
        self._queue.append(
            HandshakeCompleted(
                alpn_protocol=tls.alpn_negotiated,
                early_data_accepted=tls.early_data_accepted,
                session_resumed=tls.session_resumed,
            )
        )
        self._logger.info("ALPN negotiated protocol %s", tls.alpn_negotiated)
        return 0

    # Keys that TLS made.

    def _update_traffic_key(self, direction, epoch, cipher_suite, bytes secret not None):
        """Use the keys of a traffic secret: what our connection and aioquic's do, unless somebody logs them or objects."""
        cdef PacketContext keys
        cdef PacketPair pair
        each = self._cryptos[epoch]
        if (
            self._client_certificates is not None or self._configuration.secrets_log_file is not None
            or self._quic_logger is not None or epoch is _ZERO_RTT or not isinstance(each, PacketPair)
        ):
            super()._update_traffic_key(direction, epoch, cipher_suite, secret)
            return
        pair = each
        if self._is_client and not self._version_negotiated_compatible and self._crypto_packet_version is not None:
            self._version = self._crypto_packet_version
            self._version_negotiated_compatible = True
            self._logger.info(
                "Negotiated protocol version %s", aioquic_connection.pretty_protocol_version(self._version)
            )
        schedule = self.tls.key_schedule
        if epoch is _ONE_RTT and self._exporter is None and schedule is not None:
            # Now, as the transcript ends with the server's Finished; later it goes on (RFC 8446, 7.1).
            self._exporter = schedule.algorithm, schedule.derive_secret(b"exp master")
        keys = pair.send if direction is _ENCRYPT else pair.recv
        keys.set_secret(cipher_suite, secret, self._version)
        if epoch is _ONE_RTT:
            self.forget_keys()
            if self._is_client and direction is _ENCRYPT and self._cryptos[_ZERO_RTT].send.is_valid():
                self._cryptos[_ZERO_RTT].send.teardown()  # RFC 9001, 4.9.3
