# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The hellos of a client's handshake of TLS (RFC 8446, section 4.1), as nearly every handshake begins.

A message that is anything else is left to aioquic, with nothing changed: what is malformed or refused, so that the words
for it are aioquic's, and what is rare. What is taken here, aioquic would take as well, with the same result.
"""

from __future__ import annotations

from .tls_wire cimport (
    ALPN, CLIENT_HELLO, HEADER_SIZE, KEY_SHARE, P256, P521, PSK_KEY_EXCHANGE_MODES, RANDOM_SIZE, SERVER_NAME,
    SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS, TLS_1_2, X25519, Cursor, Writer, begin_vector,
    end_vector, is_at_end, over, read_number, read_part, read_vector, read_whole_vector, text, write_bytes,
    write_number, write_vector,
)

from cpython.bytes cimport PyBytes_FromStringAndSize

from aioquic.tls import Direction, Epoch, Group, State

from ..client_hello import HELLO_RETRY_RANDOM, is_address
from ..key_agreement import read_x25519, take_x25519
from ..key_schedule import KeySchedule, KeyScheduleProxy

cdef enum:
    MAX_HELLO = 4096  # bytes of a ClientHello that is written here

cdef object _X25519 = Group.X25519
cdef object _DECRYPT = Direction.DECRYPT
cdef object _ENCRYPT = Direction.ENCRYPT
cdef object _HANDSHAKE = Epoch.HANDSHAKE
cdef object _EXPECT_SERVER_HELLO = State.CLIENT_EXPECT_SERVER_HELLO
cdef object _EXPECT_EXTENSIONS = State.CLIENT_EXPECT_ENCRYPTED_EXTENSIONS


cdef bint _can_make(list groups) except -1:
    """Tell whether there are keys of all groups, first of all of X25519."""
    cdef int group
    if not groups or groups[0] != _X25519:
        return False
    for each in groups:
        group = each
        if group != X25519 and not P256 <= group <= P521:
            return False
    return True


cdef int _write_numbers(Writer* writer, int kind, int length_size, int size, values) except -1:
    """Write an extension that is a list of numbers."""
    cdef unsigned char* extension
    cdef unsigned char* start
    write_number(writer, 2, kind)
    extension = begin_vector(writer, 2)
    start = begin_vector(writer, length_size)
    for value in values:
        write_number(writer, size, value)
    end_vector(writer, length_size, start)
    end_vector(writer, 2, extension)
    return 0


cdef class ClientHellos:
    """What a client's handshake begins with; see the module's docstring."""

    cdef int go_to(self, state) except -1:
        if self._Context__logger:
            self._set_state(state)
        else:
            self.state = state
        return 0

    cdef int set_keys(self, direction, epoch, bytes label) except -1:
        """Derive a traffic secret, and have its keys used."""
        schedule = self.key_schedule
        secret = schedule.derive_secret(label)
        if direction is _ENCRYPT:
            self._enc_key = secret
        else:
            self._dec_key = secret
        self.update_traffic_key_cb(direction, epoch, schedule.cipher_suite, secret)
        return 0

    # What it begins with.

    def _client_send_hello(self, output_buf):
        """Write the ClientHello (RFC 8446, 4.1.2)."""
        cdef bytes share, message
        if self.session_ticket is not None or not _can_make(self._supported_groups):
            super()._client_send_hello(output_buf)
            return
        key = take_x25519()
        share = key.public_key().public_bytes_raw()
        message = self._hello(share)
        if message is None:
            super()._client_send_hello(output_buf)
            return
        self._share_group = _X25519
        self._ec_private_keys = []
        self._x25519_private_key = key
        self._share = _X25519, share
        self._key_schedule_proxy = KeyScheduleProxy(self._cipher_suites, [(True, None), (False, message)])
        output_buf.push_bytes(message)
        self.go_to(_EXPECT_SERVER_HELLO)

    cdef bytes _hello(self, bytes share):
        """Return the message as aioquic would write it; None if it is too long for that."""
        cdef unsigned char[MAX_HELLO] data
        cdef Writer writer
        cdef unsigned char* message
        cdef unsigned char* extensions
        cdef unsigned char* extension
        cdef unsigned char* names
        cdef bytes value
        writer.at, writer.end, writer.is_full = data, data + MAX_HELLO, False
        write_number(&writer, 1, CLIENT_HELLO)
        message = begin_vector(&writer, 3)
        write_number(&writer, 2, TLS_1_2)
        write_bytes(&writer, self.client_random)
        write_vector(&writer, 1, self.legacy_session_id)
        names = begin_vector(&writer, 2)
        for suite in self._cipher_suites:
            write_number(&writer, 2, suite)
        end_vector(&writer, 2, names)
        names = begin_vector(&writer, 1)
        for method in self._legacy_compression_methods:
            write_number(&writer, 1, method)
        end_vector(&writer, 1, names)
        extensions = begin_vector(&writer, 2)
        write_number(&writer, 2, KEY_SHARE)
        extension = begin_vector(&writer, 2)
        names = begin_vector(&writer, 2)
        write_number(&writer, 2, X25519)
        write_vector(&writer, 2, share)
        end_vector(&writer, 2, names)
        end_vector(&writer, 2, extension)
        _write_numbers(&writer, SUPPORTED_VERSIONS, 1, 2, self._supported_versions)
        _write_numbers(&writer, SIGNATURE_ALGORITHMS, 2, 2, self._signature_algorithms)
        _write_numbers(&writer, SUPPORTED_GROUPS, 2, 2, self._supported_groups)
        if self.new_session_ticket_cb is not None:
            _write_numbers(&writer, PSK_KEY_EXCHANGE_MODES, 1, 1, self._psk_key_exchange_modes)
        server_name = self._server_name
        if server_name is not None and not is_address(server_name):
            write_number(&writer, 2, SERVER_NAME)
            extension = begin_vector(&writer, 2)
            names = begin_vector(&writer, 2)
            write_number(&writer, 1, 0)  # a host name
            write_vector(&writer, 2, server_name.encode("ascii"))
            end_vector(&writer, 2, names)
            end_vector(&writer, 2, extension)
        protocols = self._alpn_protocols
        if protocols is not None:
            write_number(&writer, 2, ALPN)
            extension = begin_vector(&writer, 2)
            names = begin_vector(&writer, 2)
            for protocol in protocols:
                write_vector(&writer, 1, protocol.encode("ascii"))
            end_vector(&writer, 2, names)
            end_vector(&writer, 2, extension)
        for kind, value in self.handshake_extensions:
            write_number(&writer, 2, kind)
            write_vector(&writer, 2, value)
        end_vector(&writer, 2, extensions)
        end_vector(&writer, 3, message)
        return None if writer.is_full else PyBytes_FromStringAndSize(<const char*> data, writer.at - data)

    # What the server says.

    cdef bint take_server_hello(self, bytes message) except -1:
        """Agree on keys (RFC 8446, 4.1.3)."""
        cdef Cursor whole = over(message), random, session_id, extensions, value, share
        cdef Py_ssize_t version = 0, suite = 0, compression = 0, kind = 0, chosen = 0, group = 0
        share.at = share.end = NULL
        whole.at += HEADER_SIZE
        if not (
            read_number(&whole, 2, &version) and version == TLS_1_2
            and read_part(&whole, RANDOM_SIZE, &random)
            and read_vector(&whole, 1, &session_id)
            and read_number(&whole, 2, &suite)
            and read_number(&whole, 1, &compression)
            and read_whole_vector(&whole, 2, &extensions)
        ):
            return False
        while not is_at_end(&extensions):
            if not read_number(&extensions, 2, &kind) or not read_vector(&extensions, 2, &value):
                return False
            if kind == SUPPORTED_VERSIONS and not chosen:
                if not read_number(&value, 2, &chosen) or not is_at_end(&value):
                    return False
            elif kind == KEY_SHARE and not group:
                if not read_number(&value, 2, &group) or not read_whole_vector(&value, 2, &share):
                    return False
            else:
                return False
        proxy, key = self._key_schedule_proxy, self._x25519_private_key
        if (
            group != X25519 or key is None or self._key_schedule_psk is not None
            or type(proxy) is not KeyScheduleProxy
            or text(&random) == HELLO_RETRY_RANDOM or text(&session_id) != self.legacy_session_id
            or compression not in self._legacy_compression_methods or chosen not in self._supported_versions
        ):
            return False
        for each in self._cipher_suites:
            if each == suite:
                break
        else:
            return False
        try:
            shared = key.exchange(read_x25519(text(&share)))
        except ValueError:
            return False
        self.key_schedule = schedule = KeySchedule(each)
        for is_extract, data in proxy.steps:
            if is_extract:
                schedule.extract(data)
            else:
                schedule.update_hash(data)
        self._key_schedule_proxy = None
        schedule.update_hash(message)
        schedule.extract(shared)
        self.set_keys(_DECRYPT, _HANDSHAKE, b"s hs traffic")
        self.set_keys(_ENCRYPT, _HANDSHAKE, b"c hs traffic")
        self.go_to(_EXPECT_EXTENSIONS)
        return True
