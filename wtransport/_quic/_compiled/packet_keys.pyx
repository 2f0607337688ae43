# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""The keys of one encryption level as aioquic's connection uses them: its `CryptoContext` and `CryptoPair`, in C.

A handshake sets six directions up at each end, with three keys for each. The data path takes the same objects over when
it begins (`connection_state`).
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from .hkdf cimport expand_label, hmac_into
from .protection cimport IV_SIZE, MAX_NUMBER_SIZE, TAG_SIZE, PacketKeys, decode_packet_number

from aioquic.quic.crypto import (
    INITIAL_CIPHER_SUITE, INITIAL_SALT_VERSION_1, INITIAL_SALT_VERSION_2, CryptoError, KeyUnavailableError, NoCallback,
)
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import CipherSuite

from .cryptography_keys import CryptographyKeys
from .libcrypto_keys import LIBRARY, LibcryptoKeys
from .protection import KEY_SIZES
from .provider_keys import IS_USABLE, ProviderKeys

_CIPHERS = {
    int(CipherSuite.AES_128_GCM_SHA256): "aes-128-gcm",
    int(CipherSuite.AES_256_GCM_SHA384): "aes-256-gcm",
    int(CipherSuite.CHACHA20_POLY1305_SHA256): "chacha20-poly1305",
}

_KEYS = ProviderKeys if IS_USABLE else CryptographyKeys if LIBRARY is None else LibcryptoKeys
cdef int _WIDE_SUITE = CipherSuite.AES_256_GCM_SHA384
cdef int64_t _VERSION_2 = QuicProtocolVersion.VERSION_2

cdef enum:
    LONG_HEADER = 0x80
    KEY_PHASE_SHIFT = 2
    INITIAL_HASH = 32  # bytes of a secret of Initial packets


cdef bytes _expanded(bint wide, bytes secret, const char* label, int size):
    result = PyBytes_FromStringAndSize(NULL, size)
    expand_label(
        wide, <const unsigned char*> PyBytes_AS_STRING(secret), PyBytes_GET_SIZE(secret), label, NULL, 0,
        <unsigned char*> PyBytes_AS_STRING(result), size,
    )
    return result


cdef PacketKeys make_keys(int suite, bytes secret, int64_t version, bytes first_secret):
    """Return the keys of a traffic secret (RFC 9001, 5.1; RFC 9369, 3.3.1).

    The key of header protection is that of the first key phase (RFC 9001, 5.4).
    """
    cipher = _CIPHERS[suite]
    cdef bint wide = suite == _WIDE_SUITE
    cdef bint second = version == _VERSION_2
    cdef int size = KEY_SIZES[cipher]
    return _KEYS(
        cipher,
        _expanded(wide, secret, b"quicv2 key" if second else b"quic key", size),
        _expanded(wide, secret, b"quicv2 iv" if second else b"quic iv", IV_SIZE),
        _expanded(wide, first_secret, b"quicv2 hp" if second else b"quic hp", size),
    )


cdef class PacketContext:
    """PacketContext(key_phase=0, setup_cb=NoCallback, teardown_cb=NoCallback)\n--\n\nThe keys of one direction."""

    def __init__(self, int key_phase=0, setup_cb=NoCallback, teardown_cb=NoCallback):
        self.key_phase = key_phase
        self._setup_cb = setup_cb
        self._teardown_cb = teardown_cb

    def is_valid(self):
        """Tell whether there are keys."""
        return self.aead is not None

    def setup(self, *, cipher_suite, bytes secret not None, version):
        """Derive the keys from a traffic secret."""
        self.set_secret(cipher_suite, secret, version)
        self._setup_cb("tls")

    cdef int set_secret(self, cipher_suite, bytes secret, version) except -1:
        self.aead = make_keys(cipher_suite, secret, version, secret)
        self.cipher_suite = cipher_suite
        self.secret = self.first_secret = secret
        self.version = version
        return 0

    def teardown(self):
        """Forget the keys."""
        self.aead = None
        self.previous = None
        self.cipher_suite = self.secret = self.first_secret = None
        self._teardown_cb("tls")

    cdef bytes _next_secret(self):
        cdef bint wide = self.cipher_suite == _WIDE_SUITE
        cdef bint second = self.version == _VERSION_2
        return _expanded(wide, self.secret, b"quicv2 ku" if second else b"quic ku", PyBytes_GET_SIZE(self.secret))

    cdef int update(self, trigger) except -1:
        """Go on to the next key phase (RFC 9001, section 6)."""
        self.secret = self._next_secret()
        self.aead = make_keys(self.cipher_suite, self.secret, self.version, self.first_secret)
        self.key_phase = not self.key_phase
        self._setup_cb(trigger)
        return 0

    def decrypt_packet(self, bytes packet not None, Py_ssize_t encrypted_offset, expected_packet_number):
        """Return a packet's header, payload and number, and whether it is of the next key phase.

        Args:
            packet: one whole packet.
            encrypted_offset: where its packet number stands.
            expected_packet_number: the one that would come next.

        Raises:
            KeyUnavailableError: there are no keys yet, or no more.
            CryptoError: the packet is too short, or not authentic.
        """
        cdef const unsigned char* data = <const unsigned char*> PyBytes_AS_STRING(packet)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(packet)
        cdef uint64_t number = 0
        cdef int number_size = 0
        cdef PacketKeys keys = self.aead
        cdef bint is_next = False
        if keys is None:
            raise KeyUnavailableError("Decryption key is not available")
        header = PyBytes_FromStringAndSize(NULL, encrypted_offset + MAX_NUMBER_SIZE)
        cdef unsigned char* plain = <unsigned char*> PyBytes_AS_STRING(header)
        if encrypted_offset > 0:
            number_size = keys.unmask(data, size, encrypted_offset, plain, &number)
        cdef Py_ssize_t header_size = encrypted_offset + number_size
        if number_size == 0 or size < header_size + TAG_SIZE:
            raise CryptoError("Packet is too short to sample")
        number = decode_packet_number(number, number_size, expected_packet_number)
        if not plain[0] & LONG_HEADER and plain[0] >> KEY_PHASE_SHIFT & 1 != self.key_phase:
            if self.previous is not None and number < keys.lowest_opened:
                keys = self.previous  # it was under way when the keys changed (RFC 9001, 6.5)
            else:
                is_next = True
                keys = make_keys(self.cipher_suite, self._next_secret(), self.version, self.first_secret)
        payload = PyBytes_FromStringAndSize(NULL, size - header_size - TAG_SIZE)
        if keys.open(
            plain, header_size, data + header_size, size - header_size, number,
            <unsigned char*> PyBytes_AS_STRING(payload),
        ) < 0:
            raise CryptoError("the packet is not authentic")
        return header[:header_size], payload, number, is_next

    def encrypt_packet(self, bytes plain_header not None, bytes plain_payload not None, packet_number):
        """Return a protected packet; the header ends with the packet number."""
        if self.aead is None:
            raise KeyUnavailableError("Encryption key is not available")
        return self.aead.protect(plain_header, plain_payload, packet_number)


def initial_secret(bytes connection_id not None, version):
    """Return what the keys of Initial packets are derived from; see the twin in `_quic/initial_keys.py`."""
    cdef bytes salt = INITIAL_SALT_VERSION_2 if version == _VERSION_2 else INITIAL_SALT_VERSION_1
    result = PyBytes_FromStringAndSize(NULL, INITIAL_HASH)
    hmac_into(
        False, <const unsigned char*> PyBytes_AS_STRING(salt), PyBytes_GET_SIZE(salt),
        <const unsigned char*> PyBytes_AS_STRING(connection_id), PyBytes_GET_SIZE(connection_id),
        <unsigned char*> PyBytes_AS_STRING(result),
    )
    return result


def set_up_initial(PacketContext keys not None, bytes secret not None, bytes label not None, version):
    """Derive the keys of one direction from `initial_secret`; the label is b"client in" or b"server in"."""
    keys.set_secret(INITIAL_CIPHER_SUITE, _expanded(False, secret, PyBytes_AS_STRING(label), INITIAL_HASH), version)
    if keys._setup_cb is not NoCallback:
        keys._setup_cb("tls")


cdef class PacketPair:
    """PacketPair(recv_setup_cb, recv_teardown_cb, send_setup_cb, send_teardown_cb)\n--\n\nBoth directions' keys."""

    def __init__(
        self, recv_setup_cb=NoCallback, recv_teardown_cb=NoCallback, send_setup_cb=NoCallback,
        send_teardown_cb=NoCallback,
    ):
        self.aead_tag_size = TAG_SIZE
        self.recv = PacketContext(0, recv_setup_cb, recv_teardown_cb)
        self.send = PacketContext(0, send_setup_cb, send_teardown_cb)

    def decrypt_packet(self, packet, encrypted_offset, expected_packet_number):
        """Return a packet's header, payload and number; one of the next key phase updates both directions' keys.

        Raises:
            KeyUnavailableError, CryptoError: see `PacketContext`.
        """
        header, payload, number, is_next = self.recv.decrypt_packet(packet, encrypted_offset, expected_packet_number)
        if is_next:
            self._update("remote_update")
            self.recv.aead.lowest_opened = number
        return header, payload, number

    def encrypt_packet(self, plain_header, plain_payload, packet_number):
        """Return a protected packet, with new keys if they were asked for."""
        if self._update_key_requested:
            self._update("local_update")
        return self.send.encrypt_packet(plain_header, plain_payload, packet_number)

    def teardown(self):
        """Forget the keys of both directions."""
        self.recv.teardown()
        self.send.teardown()

    def update_key(self):
        """Ask for new keys with the next packet."""
        self._update_key_requested = True

    @property
    def key_phase(self):
        """Return the key phase of the next packet."""
        return self.recv.key_phase ^ self._update_key_requested

    cdef int _update(self, trigger) except -1:
        self.recv.previous = self.recv.aead
        self.recv.update(trigger)
        self.send.update(trigger)
        self._update_key_requested = False
        return 0
