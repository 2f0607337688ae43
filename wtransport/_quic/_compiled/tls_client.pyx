# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""A client's side of a handshake of TLS behind the hellos: who the server is, and that nobody else spoke (RFC 8446).

As in `tls_client_hello`, a message that is anything but what nearly every handshake has is left to aioquic.
"""

from __future__ import annotations

from .tls_client_hello cimport ClientHellos
from .tls_wire cimport (
    ALPN, EARLY_DATA, HEADER_SIZE, Cursor, is_ascii, is_at_end, over, read_number, read_vector, read_whole_vector,
    text,
)

import hmac
import ssl

from aioquic import tls
from aioquic.tls import SERVER_CONTEXT_STRING, Direction, Epoch, State

from ..certificates_met import load_certificate, signature_check


cdef object _DECRYPT = Direction.DECRYPT
cdef object _ENCRYPT = Direction.ENCRYPT
cdef object _ONE_RTT = Epoch.ONE_RTT
cdef object _EXPECT_REQUEST_OR_CERTIFICATE = State.CLIENT_EXPECT_CERTIFICATE_REQUEST_OR_CERTIFICATE
cdef object _EXPECT_CERTIFICATE_VERIFY = State.CLIENT_EXPECT_CERTIFICATE_VERIFY
cdef object _EXPECT_FINISHED = State.CLIENT_EXPECT_FINISHED
cdef object _DONE = State.CLIENT_POST_HANDSHAKE
cdef object _CERT_NONE = ssl.CERT_NONE
cdef object _is_equal = hmac.compare_digest


cdef bytes finished_message(bytes verify_data):
    """Return a Finished message (RFC 8446, 4.4.4)."""
    return b"\x14\x00\x00%c%b" % (len(verify_data), verify_data)


cdef class ClientMessages(ClientHellos):
    """What a client receives, and its last message; see the module's docstring."""

    cdef bint take_encrypted_extensions(self, bytes message) except -1:
        """Learn what protocol the server chose, and its transport parameters (RFC 8446, 4.3.1)."""
        cdef Cursor whole = over(message), extensions, value, names, name
        cdef Py_ssize_t kind = 0
        cdef list others = []
        protocol = None
        whole.at += HEADER_SIZE
        if not read_whole_vector(&whole, 2, &extensions):
            return False
        while not is_at_end(&extensions):
            if not read_number(&extensions, 2, &kind) or not read_vector(&extensions, 2, &value) or kind == EARLY_DATA:
                return False
            if kind != ALPN:
                others.append((kind, text(&value)))
                continue
            if (
                protocol is not None or not read_whole_vector(&value, 2, &names)
                or not read_whole_vector(&names, 1, &name) or not is_ascii(&name)
            ):
                return False
            protocol = text(&name).decode("ascii")
        if self._alpn_protocols is not None and protocol not in self._alpn_protocols:
            return False
        self.alpn_negotiated = protocol
        self.early_data_accepted = False
        self.received_extensions = others
        if self.alpn_cb:
            self.alpn_cb(protocol)
        self.key_schedule.update_hash(message)
        self.go_to(_EXPECT_FINISHED if self._session_resumed else _EXPECT_REQUEST_OR_CERTIFICATE)
        return True

    cdef bint take_certificate(self, bytes message) except -1:
        """Take the server's certificate, and those behind it (RFC 8446, 4.4.2)."""
        cdef Cursor whole = over(message), context, entries, der, extensions
        cdef list certificates = []
        whole.at += HEADER_SIZE
        if not read_vector(&whole, 1, &context) or not read_whole_vector(&whole, 3, &entries):
            return False
        if is_at_end(&entries):
            return False
        try:
            while not is_at_end(&entries):
                if not read_vector(&entries, 3, &der) or not read_vector(&entries, 2, &extensions):
                    return False
                certificates.append(load_certificate(text(&der)))
        except ValueError:
            return False
        self.key_schedule.update_hash(message)
        self._peer_certificate = certificates[0]
        self._peer_certificate_chain = certificates[1:]
        self.go_to(_EXPECT_CERTIFICATE_VERIFY)
        return True

    cdef bint take_certificate_verify(self, bytes message) except -1:
        """See to it that the server has the key of its certificate, which is one to trust (RFC 8446, 4.4.3)."""
        cdef Cursor whole = over(message), signature
        cdef Py_ssize_t algorithm = 0
        whole.at += HEADER_SIZE
        if not read_number(&whole, 2, &algorithm) or not read_whole_vector(&whole, 2, &signature):
            return False
        if algorithm not in self._signature_algorithms:
            return False
        schedule = self.key_schedule
        try:
            check, arguments = signature_check(self._peer_certificate, algorithm)
            check(text(&signature), schedule.certificate_verify_data(SERVER_CONTEXT_STRING), *arguments)
        except Exception:
            return False  # aioquic asks again, and says what is wrong
        if self._verify_mode != _CERT_NONE:
            tls.verify_certificate(
                cadata=self._cadata, cafile=self._cafile, capath=self._capath, certificate=self._peer_certificate,
                chain=self._peer_certificate_chain, server_name=self._server_name,
            )
        schedule.update_hash(message)
        self.go_to(_EXPECT_FINISHED)
        return True

    cdef bint take_server_finished(self, bytes message, output_buf) except -1:
        """See to it that both saw the same messages, and finish (RFC 8446, 4.4.4)."""
        cdef bytes answer
        schedule = self.key_schedule
        if self._certificate_request is not None or schedule.generation != 2:
            return False
        if not _is_equal(message, finished_message(schedule.finished_verify_data(self._dec_key))):
            return False
        schedule.update_hash(message)
        schedule.extract(None)
        self.set_keys(_DECRYPT, _ONE_RTT, b"s ap traffic")
        secret = schedule.derive_secret(b"c ap traffic")
        answer = finished_message(schedule.finished_verify_data(self._enc_key))
        schedule.update_hash(answer)
        output_buf.push_bytes(answer)
        self._enc_key = secret
        self.update_traffic_key_cb(_ENCRYPT, _ONE_RTT, schedule.cipher_suite, secret)
        self.go_to(_DONE)
        return True
