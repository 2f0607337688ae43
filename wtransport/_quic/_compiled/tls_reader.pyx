# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Bytes of TLS as they arrive: in order, and not too many. All else about CRYPTO frames is aioquic's way."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint
from .connection_state cimport ConnectionState
from .frame_types cimport CRYPTO

from aioquic._buffer import BufferReadError
from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.events import HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode
from aioquic.tls import Alert, State

cdef enum:
    MAX_MESSAGES = 16 * 1024  # bytes; what is larger is for `hardened_connection` to judge

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
