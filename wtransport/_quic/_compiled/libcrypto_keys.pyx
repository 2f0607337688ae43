# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Packet protection with the libcrypto of OpenSSL 1.1 or later that the process has anyway, for Python's `ssl`.

Found at run time and called through prototypes declared here, of a part of its interface that has not changed since
2016: nothing of it is needed to build. Before it is used, a known answer must come from it.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING

from .libcrypto cimport crypto_open, crypto_symbol
from .protection cimport IV_SIZE, MASK_SIZE, TAG_SIZE, PacketKeys

import _ssl  # noqa: F401 - loads libcrypto, where Python has one

# Names that say which interface is behind them; the last stands for the program itself, with what is linked into it.
# macOS ends programs that ask for its own libcrypto without a version.
_CANDIDATES = (
    "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so.4", "libcrypto.3.dylib", "libcrypto.1.1.dylib",
    "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib", "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
    "libcrypto-3.dll", "libcrypto-3-x64.dll", "libcrypto-3-arm64.dll", "libcrypto-1_1.dll", "libcrypto-1_1-x64.dll",
    "",
)

cdef enum:
    SET_IV_LENGTH = 0x09
    GET_TAG = 0x10
    SET_TAG = 0x11

ctypedef void* (*Maker)() noexcept nogil
ctypedef void (*Freer)(void*) noexcept nogil
ctypedef int (*Initializer)(
    void* context, const void* cipher, void* engine, const unsigned char* key, const unsigned char* iv, int encrypt
) noexcept nogil
ctypedef int (*Updater)(
    void* context, unsigned char* out, int* out_size, const unsigned char* data, int size
) noexcept nogil
ctypedef int (*Finisher)(void* context, unsigned char* out, int* out_size) noexcept nogil
ctypedef int (*Controller)(void* context, int command, int number, void* pointer) noexcept nogil
ctypedef int (*Padder)(void* context, int padding) noexcept nogil
ctypedef void (*Clearer)() noexcept nogil
ctypedef void* (*Fetcher)(void* context, const char* name, const char* properties) noexcept nogil

cdef Maker _new_context
cdef Freer _free_context
cdef Initializer _init
cdef Updater _update
cdef Finisher _finish
cdef Controller _control
cdef Padder _set_padding
cdef Clearer _clear_errors
cdef void* _ciphers[6]  # EVP_CIPHER: AES-128-GCM, its ECB, AES-256-GCM, its ECB, ChaCha20-Poly1305, ChaCha20

cdef const char* _FETCHED[6]
_FETCHED[:] = [
    b"AES-128-GCM", b"AES-128-ECB", b"AES-256-GCM", b"AES-256-ECB", b"ChaCha20-Poly1305", b"ChaCha20",
]

_NAMES = ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305")


cdef bint _load(bytes name, bint only_loaded):
    """Take the functions of one library; False when it is not there or misses one."""
    cdef void* library = crypto_open(PyBytes_AS_STRING(name), only_loaded)
    cdef void* functions[8]
    cdef void* maker
    cdef void* fetch
    cdef int i
    if library == NULL:
        return False
    for i, function in enumerate((
        b"EVP_CIPHER_CTX_new", b"EVP_CIPHER_CTX_free", b"EVP_CipherInit_ex", b"EVP_CipherUpdate",
        b"EVP_CipherFinal_ex", b"EVP_CIPHER_CTX_ctrl", b"EVP_CIPHER_CTX_set_padding", b"ERR_clear_error",
    )):
        functions[i] = crypto_symbol(library, PyBytes_AS_STRING(function))
        if functions[i] == NULL:
            return False
    for i, function in enumerate((
        b"EVP_aes_128_gcm", b"EVP_aes_128_ecb", b"EVP_aes_256_gcm", b"EVP_aes_256_ecb",
        b"EVP_chacha20_poly1305", b"EVP_chacha20",
    )):
        maker = crypto_symbol(library, PyBytes_AS_STRING(function))
        _ciphers[i] = NULL if maker == NULL else (<Maker> maker)()
        if _ciphers[i] == NULL:
            return False
    # OpenSSL 3 looks for the provider of such a cipher whenever it is used, which takes most of the time to set a key
    # up; what it has found for good is never given back, like the library.
    fetch = crypto_symbol(library, b"EVP_CIPHER_fetch")
    for i in range(6 if fetch != NULL else 0):
        maker = (<Fetcher> fetch)(NULL, _FETCHED[i], NULL)
        if maker != NULL:
            _ciphers[i] = maker
        else:
            (<Clearer> functions[7])()
    global _new_context, _free_context, _init, _update, _finish, _control, _set_padding, _clear_errors
    _new_context = <Maker> functions[0]
    _free_context = <Freer> functions[1]
    _init = <Initializer> functions[2]
    _update = <Updater> functions[3]
    _finish = <Finisher> functions[4]
    _control = <Controller> functions[5]
    _set_padding = <Padder> functions[6]
    _clear_errors = <Clearer> functions[7]
    return True


cdef class LibcryptoKeys(PacketKeys):
    """LibcryptoKeys(cipher, key, iv, header_key)\n--\n\nThe keys of one direction and key phase."""

    cdef void* _aead
    cdef void* _header_cipher
    cdef bint _is_chacha

    def __cinit__(self, cipher, bytes key not None, bytes iv not None, bytes header_key not None):
        cdef int index = 2 * _NAMES.index(cipher)
        self._is_chacha = index == 4
        if _new_context == NULL:
            raise RuntimeError("no libcrypto was found")
        self._aead = _new_context()
        self._header_cipher = _new_context()
        if self._aead == NULL or self._header_cipher == NULL:
            raise MemoryError
        cdef const unsigned char* secret = <const unsigned char*> PyBytes_AS_STRING(key)
        cdef const unsigned char* header_secret = <const unsigned char*> PyBytes_AS_STRING(header_key)
        if (
            _init(self._aead, _ciphers[index], NULL, NULL, NULL, 1) != 1
            or _control(self._aead, SET_IV_LENGTH, IV_SIZE, NULL) != 1
            or _init(self._aead, NULL, NULL, secret, NULL, 1) != 1
            or _init(self._header_cipher, _ciphers[index + 1], NULL, header_secret, NULL, 1) != 1
            or _set_padding(self._header_cipher, 0) != 1
        ):
            _clear_errors()
            raise RuntimeError(f"libcrypto refuses {cipher}")

    def __dealloc__(self):
        if self._aead != NULL:
            _free_context(self._aead)
        if self._header_cipher != NULL:
            _free_context(self._header_cipher)

    cdef int _encrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        unsigned char* payload,
        Py_ssize_t payload_size,
    ) noexcept:
        cdef int size = 0
        if (
            _init(self._aead, NULL, NULL, NULL, nonce, 1) != 1
            or _update(self._aead, NULL, &size, header, <int> header_size) != 1
            or _update(self._aead, payload, &size, payload, <int> payload_size) != 1
            or _finish(self._aead, payload + payload_size, &size) != 1
            or _control(self._aead, GET_TAG, TAG_SIZE, payload + payload_size) != 1
        ):
            _clear_errors()
            return -1
        return 0

    cdef int _decrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        unsigned char* out,
    ) noexcept:
        cdef int size = 0
        cdef Py_ssize_t payload_size = sealed_size - TAG_SIZE
        cdef void* tag = <void*> (sealed + payload_size)
        if (
            _init(self._aead, NULL, NULL, NULL, nonce, 0) != 1
            or _control(self._aead, SET_TAG, TAG_SIZE, tag) != 1
            or _update(self._aead, NULL, &size, header, <int> header_size) != 1
            or _update(self._aead, out, &size, sealed, <int> payload_size) != 1
            or _finish(self._aead, out + payload_size, &size) != 1
        ):
            _clear_errors()  # they would be taken for those of others in this thread
            return -1
        return 0

    cdef int _mask(self, const unsigned char* sample, unsigned char* mask) noexcept:
        cdef unsigned char[32] stream
        cdef unsigned char[MASK_SIZE] zeros
        cdef int size = 0
        cdef int i
        if self._is_chacha:
            for i in range(MASK_SIZE):
                zeros[i] = 0
            if (
                _init(self._header_cipher, NULL, NULL, NULL, sample, 1) != 1
                or _update(self._header_cipher, mask, &size, zeros, MASK_SIZE) != 1
            ):
                _clear_errors()
                return -1
            return 0
        if _update(self._header_cipher, stream, &size, sample, 16) != 1:
            _clear_errors()
            return -1
        for i in range(MASK_SIZE):
            mask[i] = stream[i]
        return 0


def _answers():
    """Tell whether the library protects the packet of RFC 9001, A.5, as it stands there, and reads it."""
    keys = LibcryptoKeys(
        "chacha20-poly1305",
        bytes.fromhex("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"),
        bytes.fromhex("e0459b3474bdd0e44a41c144"),
        bytes.fromhex("25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4"),
    )
    header, payload, number = bytes.fromhex("4200bff4"), b"\x01", 654360564
    packet = keys.protect(header, payload, number)
    is_right = packet == bytes.fromhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb")
    return is_right and keys.unprotect(packet, 1, number) == (header, payload, number)


def _find():
    """Return the name of the library that is used, or None."""
    global _new_context
    for only_loaded in (True, False):
        for name in _CANDIDATES:
            try:
                if _load(name.encode(), only_loaded) and _answers():
                    return name or "the program"
            except (RuntimeError, MemoryError):  # it refuses a cipher, as one that is set up for FIPS does
                pass
            _new_context = NULL
    return None


LIBRARY = _find()
"""The library's name, or None when there is none that can be used."""
