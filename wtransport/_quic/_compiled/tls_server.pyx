# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""A server's side of a handshake of TLS, and both sides' way from bytes to messages (RFC 8446, section 4).

As in `tls_client_hello`, a message that is anything but what nearly every handshake has is left to aioquic.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from .tls_client cimport ClientMessages, finished_message
from .tls_client_hello_reader cimport Hello, chosen, protocols_of, read_hello, share_of
from .tls_wire cimport (
    ALPN, CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_HELLO, ENCRYPTED_EXTENSIONS, FINISHED, HEADER_SIZE, KEY_SHARE,
    RANDOM_SIZE, SERVER_HELLO, SUPPORTED_VERSIONS, TLS_1_2, X25519, Writer, begin_vector, end_vector, text,
    write_bytes, write_number, write_vector,
)

import hmac
import os
import sys

from aioquic import tls
from aioquic._buffer import Buffer, BufferReadError
from aioquic.tls import SERVER_CONTEXT_STRING, AlertDecodeError, Direction, Epoch, State

from ..key_agreement import read_x25519, take_x25519
from ..key_schedule import KeySchedule

cdef enum:
    MAX_HELLO = 512  # bytes of a ServerHello

cdef object _DECRYPT = Direction.DECRYPT
cdef object _ENCRYPT = Direction.ENCRYPT
cdef object _INITIAL = Epoch.INITIAL
cdef object _HANDSHAKE = Epoch.HANDSHAKE
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _CLIENT_START = State.CLIENT_HANDSHAKE_START
cdef object _EXPECT_SERVER_HELLO = State.CLIENT_EXPECT_SERVER_HELLO
cdef object _EXPECT_EXTENSIONS = State.CLIENT_EXPECT_ENCRYPTED_EXTENSIONS
cdef object _EXPECT_REQUEST_OR_CERTIFICATE = State.CLIENT_EXPECT_CERTIFICATE_REQUEST_OR_CERTIFICATE
cdef object _EXPECT_CERTIFICATE = State.CLIENT_EXPECT_CERTIFICATE
cdef object _EXPECT_CERTIFICATE_VERIFY = State.CLIENT_EXPECT_CERTIFICATE_VERIFY
cdef object _EXPECT_SERVER_FINISHED = State.CLIENT_EXPECT_FINISHED
cdef object _EXPECT_CLIENT_HELLO = State.SERVER_EXPECT_CLIENT_HELLO
cdef object _EXPECT_CLIENT_FINISHED = State.SERVER_EXPECT_FINISHED
cdef object _DONE = State.SERVER_POST_HANDSHAKE
cdef dict _ATTRIBUTES = {
    name: sys.intern("_" + name)
    for name in (
        "alpn_protocols", "cadata", "cafile", "capath", "cipher_suites", "max_early_data", "server_name", "verify_mode",
    )
}
cdef object _is_equal = hmac.compare_digest
cdef object _random = os.urandom


cdef bytes _vector(int size, bytes data):
    cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
    cdef unsigned char[4] head
    cdef int i
    if length >> (8 * size):
        raise OverflowError("int too big to convert")
    for i in range(size):
        head[i] = length >> (8 * (size - 1 - i)) & 0xFF
    return PyBytes_FromStringAndSize(<const char*> head, size) + data


cdef bytes _message(int kind, bytes body):
    return b"%c%b" % (kind, _vector(3, body))


cdef class TlsMessages(ClientMessages):
    """Messages of either side of a handshake; see the module's docstring."""

    def _take_settings(self, dict settings not None):
        """Take the arguments of aioquic's context that are not None."""
        cdef dict values = self.__dict__
        for name, value in settings.items():
            if value is not None:
                values[_ATTRIBUTES[name]] = value

    def handle_message(self, bytes input_data not None, output_buf):
        """Take bytes of messages, whole or not, and write the answers into the buffers of their epochs.

        Raises:
            Alert: the peer broke a rule, or cannot be talked to.
        """
        cdef bytes data, message
        cdef const unsigned char* head
        cdef Py_ssize_t size
        if self.state is _CLIENT_START:
            self._client_send_hello(output_buf[_INITIAL])
            return
        data = self._receive_buffer + input_data
        while PyBytes_GET_SIZE(data) >= HEADER_SIZE:
            head = <const unsigned char*> PyBytes_AS_STRING(data)
            size = HEADER_SIZE + (head[1] << 16 | head[2] << 8 | head[3])
            if PyBytes_GET_SIZE(data) < size:
                break
            message, data = data[:size], data[size:]
            self._receive_buffer = data
            try:
                if not self._take(message, output_buf):
                    self._handle_reassembled_message(
                        message_type=message[0], input_buf=Buffer(data=message), output_buf=output_buf
                    )
            except BufferReadError:
                raise AlertDecodeError("Could not parse TLS message")
        self._receive_buffer = data

    cdef bint _take(self, bytes message, output_buf) except -1:
        """Deal with a message; False when it is left to aioquic, and nothing changed."""
        cdef int kind = <unsigned char> message[0]
        state = self.state
        if kind == CLIENT_HELLO:
            return state is _EXPECT_CLIENT_HELLO and self._take_client_hello(message, output_buf)
        if kind == SERVER_HELLO:
            return state is _EXPECT_SERVER_HELLO and self.take_server_hello(message)
        if kind == ENCRYPTED_EXTENSIONS:
            return state is _EXPECT_EXTENSIONS and self.take_encrypted_extensions(message)
        if kind == CERTIFICATE:
            return (
                state is _EXPECT_REQUEST_OR_CERTIFICATE or state is _EXPECT_CERTIFICATE
            ) and self.take_certificate(message)
        if kind == CERTIFICATE_VERIFY:
            return state is _EXPECT_CERTIFICATE_VERIFY and self.take_certificate_verify(message)
        if kind == FINISHED:
            if state is _EXPECT_SERVER_FINISHED:
                return self.take_server_finished(message, output_buf[_HANDSHAKE])
            return state is _EXPECT_CLIENT_FINISHED and self._take_client_finished(message)
        return False

    cdef bint _take_client_hello(self, bytes message, output_buf) except -1:
        """Answer a ClientHello with all that a server says (RFC 8446, 4.1.3 to 4.4.4)."""
        cdef Hello hello
        cdef list others = [], names = []
        cdef bytes share, flight, certificate
        if (
            self.get_session_ticket_cb is not None or self.new_session_ticket_cb is not None
            or self._request_client_certificate or self.certificate is None or not read_hello(message, &hello, others)
        ):
            return False
        protocol = None
        if hello.protocols.at != NULL and not protocols_of(hello.protocols, names):
            return False
        if self._alpn_protocols is not None:
            for protocol in self._alpn_protocols:
                if protocol.encode("ascii") in names:
                    break
            else:
                return False
        suite = chosen(self._cipher_suites, hello.suites, 2)
        compression = chosen(self._legacy_compression_methods, hello.compressions, 1)
        algorithm = chosen(self._signature_algorithms_for_private_key(), hello.algorithms, 2)
        version = chosen(self._supported_versions, hello.versions, 2)
        share = share_of(hello.shares, self._supported_groups)
        if suite is None or compression is None or algorithm is None or version is None or share is None:
            return False
        key = take_x25519()
        try:
            shared = key.exchange(read_x25519(share))
        except ValueError:
            return False
        self.alpn_negotiated = protocol
        self.client_random = text(&hello.random)
        self.server_random = _random(RANDOM_SIZE)
        self.legacy_session_id = text(&hello.session_id)
        self.received_extensions = others
        if self.alpn_cb:
            self.alpn_cb(protocol)
        self.key_schedule = schedule = KeySchedule(suite)
        schedule.extract(None)
        schedule.update_hash(message)
        self._x25519_private_key = key
        flight = self._server_hello(suite, compression, version, key.public_key().public_bytes_raw())
        schedule.update_hash(flight)
        output_buf[_INITIAL].push_bytes(flight)
        schedule.extract(shared)
        self.set_keys(_ENCRYPT, _HANDSHAKE, b"s hs traffic")
        self.set_keys(_DECRYPT, _HANDSHAKE, b"c hs traffic")
        flight = self._encrypted_extensions(protocol)
        certificate = self._certificate_message()
        schedule.update_hash(flight)
        schedule.update_hash(certificate)
        signature = self.certificate_private_key.sign(
            schedule.certificate_verify_data(SERVER_CONTEXT_STRING), *tls.signature_algorithm_params(algorithm)
        )
        proof = _message(
            CERTIFICATE_VERIFY, b"%c%c%b" % (algorithm >> 8, algorithm & 0xFF, _vector(2, signature))
        )
        schedule.update_hash(proof)
        finished = finished_message(schedule.finished_verify_data(self._enc_key))
        schedule.update_hash(finished)
        output_buf[_HANDSHAKE].push_bytes(b"%b%b%b%b" % (flight, certificate, proof, finished))
        schedule.extract(None)
        self.set_keys(_ENCRYPT, _ONE_RTT, b"s ap traffic")
        self._next_dec_key = schedule.derive_secret(b"c ap traffic")
        self._psk_key_exchange_mode = (
            None if hello.modes.at == NULL else chosen(self._psk_key_exchange_modes, hello.modes, 1)
        )
        # The client's Finished is known before it comes, and part of the transcript.
        self._expected_verify_data = expected = schedule.finished_verify_data(self._dec_key)
        schedule.update_hash(finished_message(expected))
        self.go_to(_EXPECT_CLIENT_FINISHED)
        return True

    cdef bytes _server_hello(self, suite, compression, version, bytes share):
        cdef unsigned char[MAX_HELLO] data
        cdef Writer writer
        cdef unsigned char* message
        cdef unsigned char* extensions
        cdef unsigned char* extension
        writer.at, writer.end, writer.is_full = data, data + MAX_HELLO, False
        write_number(&writer, 1, SERVER_HELLO)
        message = begin_vector(&writer, 3)
        write_number(&writer, 2, TLS_1_2)
        write_bytes(&writer, self.server_random)
        write_vector(&writer, 1, self.legacy_session_id)
        write_number(&writer, 2, suite)
        write_number(&writer, 1, compression)
        extensions = begin_vector(&writer, 2)
        write_number(&writer, 2, SUPPORTED_VERSIONS)
        write_number(&writer, 2, 2)
        write_number(&writer, 2, version)
        write_number(&writer, 2, KEY_SHARE)
        extension = begin_vector(&writer, 2)
        write_number(&writer, 2, X25519)
        write_vector(&writer, 2, share)
        end_vector(&writer, 2, extension)
        end_vector(&writer, 2, extensions)
        end_vector(&writer, 3, message)
        return PyBytes_FromStringAndSize(<const char*> data, writer.at - data)

    cdef bytes _encrypted_extensions(self, protocol):
        cdef list parts = []
        if protocol is not None:
            parts.append(b"\x00%c%b" % (ALPN, _vector(2, _vector(2, _vector(1, protocol.encode("ascii"))))))
        for kind, value in self.handshake_extensions:
            parts.append(b"%c%c%b" % (kind >> 8, kind & 0xFF, _vector(2, value)))
        return _message(ENCRYPTED_EXTENSIONS, _vector(2, b"".join(parts)))

    cdef bint _take_client_finished(self, bytes message) except -1:
        """See to it that both saw the same messages; from now on the client's data can be read (RFC 8446, 4.4.4)."""
        if self.new_session_ticket_cb is not None:
            return False
        if not _is_equal(message, finished_message(self._expected_verify_data)):
            return False
        self._dec_key = self._next_dec_key
        self._next_dec_key = None
        self.update_traffic_key_cb(_DECRYPT, _ONE_RTT, self.key_schedule.cipher_suite, self._dec_key)
        self.go_to(_DONE)
        return True
