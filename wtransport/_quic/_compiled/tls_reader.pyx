# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Bytes of TLS as they arrive: in order, and not too many. All else about CRYPTO frames is aioquic's way."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint
from .connection_state cimport ConnectionState
from .frame_types cimport CRYPTO
from .packet_keys cimport PacketContext, PacketPair

from aioquic._buffer import BufferReadError
from aioquic.quic import connection as aioquic_connection
from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.events import HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import Alert, Direction, Epoch, State

cdef enum:
    MAX_MESSAGES = 16 * 1024  # bytes; what is larger is for `hardened_connection` to judge

cdef object _ENCRYPT = Direction.ENCRYPT
cdef object _ZERO_RTT = Epoch.ZERO_RTT
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _CLIENT_DONE = State.CLIENT_POST_HANDSHAKE
cdef object _SERVER_DONE = State.SERVER_POST_HANDSHAKE


cdef class TlsReader(ConnectionState):
    """What a connection receives of TLS; see the module's docstring."""

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
