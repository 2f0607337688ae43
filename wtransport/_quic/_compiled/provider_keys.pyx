# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Packet protection by the provider behind libcrypto 3, whose functions are called without the layer before them.

For each packet that layer asks the provider for sizes, which takes as long as protecting a small packet. The interface
is the one between libcrypto and providers of any version, see provider-cipher(7), with prototypes declared here. Before
it is used, what comes from it must be what comes from libcrypto.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memset, strlen, strncmp

from .libcrypto cimport crypto_open, crypto_symbol
from .protection cimport IV_SIZE, MASK_SIZE, SAMPLE_SIZE, TAG_SIZE, PacketKeys

from .libcrypto_keys import LIBRARY, LibcryptoKeys
from .protection import KEY_SIZES

cdef enum:
    CIPHERS = 2  # OSSL_OP_CIPHER
    OCTET_STRING = 5  # OSSL_PARAM_OCTET_STRING

    # Numbers of OSSL_FUNC_CIPHER_..., all below FUNCTIONS.
    NEW = 1
    BEGIN_SEALING = 2
    BEGIN_OPENING = 3
    UPDATE = 4
    FINISH = 5
    WHOLE = 6
    FREE = 7
    GET = 10
    FUNCTIONS = 11

ctypedef struct Parameter:  # OSSL_PARAM
    const char* key
    unsigned int kind
    void* data
    size_t size
    size_t returned

ctypedef struct Entry:  # OSSL_DISPATCH
    int number
    void* function

ctypedef struct Algorithm:  # OSSL_ALGORITHM
    const char* names
    const char* properties
    const Entry* entries
    const char* description

ctypedef void* (*Maker)(void* provider_context) noexcept nogil
ctypedef void (*Freer)(void* context) noexcept nogil
ctypedef int (*Beginner)(
    void* context, const unsigned char* key, size_t key_size, const unsigned char* iv, size_t iv_size,
    const Parameter* parameters
) noexcept nogil
ctypedef int (*Updater)(
    void* context, unsigned char* out, size_t* out_size, size_t room, const unsigned char* data, size_t size
) noexcept nogil
ctypedef int (*Finisher)(void* context, unsigned char* out, size_t* out_size, size_t room) noexcept nogil
ctypedef int (*Getter)(void* context, Parameter* parameters) noexcept nogil
ctypedef void (*Clearer)() noexcept nogil
ctypedef void* (*Fetcher)(void* library_context, const char* name, const char* properties) noexcept nogil
ctypedef void* (*Finder)(void* of) noexcept nogil
ctypedef Algorithm* (*Querier)(void* provider, int operation, int* no_cache) noexcept nogil

cdef struct Cipher:
    void* provider_context
    Maker make
    Freer free
    Beginner begin_sealing
    Beginner begin_opening
    Updater update
    Updater whole
    Finisher finish
    Getter get

cdef Clearer _clear_errors
cdef Cipher[6] _ciphers  # AES-128-GCM, its ECB, AES-256-GCM, its ECB, ChaCha20-Poly1305, ChaCha20

cdef const char* _FETCHED[6]
_FETCHED[:] = [
    b"AES-128-GCM", b"AES-128-ECB", b"AES-256-GCM", b"AES-256-ECB", b"ChaCha20-Poly1305", b"ChaCha20",
]

_NAMES = ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305")


cdef bint _learn(Cipher* cipher, void* provider_context, const Entry* entry) noexcept:
    """Take a cipher's functions; False when it misses one."""
    cdef void* functions[FUNCTIONS]
    cdef int i
    memset(functions, 0, sizeof(functions))
    while entry.number:
        if 0 < entry.number < FUNCTIONS:
            functions[entry.number] = entry.function
        entry += 1
    for i in (NEW, BEGIN_SEALING, BEGIN_OPENING, UPDATE, FINISH, WHOLE, FREE, GET):
        if functions[i] == NULL:
            return False
    cipher.provider_context = provider_context
    cipher.make = <Maker> functions[NEW]
    cipher.free = <Freer> functions[FREE]
    cipher.begin_sealing = <Beginner> functions[BEGIN_SEALING]
    cipher.begin_opening = <Beginner> functions[BEGIN_OPENING]
    cipher.update = <Updater> functions[UPDATE]
    cipher.whole = <Updater> functions[WHOLE]
    cipher.finish = <Finisher> functions[FINISH]
    cipher.get = <Getter> functions[GET]
    return True


cdef bint _load(bytes name):
    """Take the functions of all ciphers; False when one is not there."""
    cdef void* library = crypto_open(PyBytes_AS_STRING(name), True)
    cdef void* functions[5]
    cdef void* fetched
    cdef void* provider
    cdef Algorithm* algorithm
    cdef size_t size
    cdef int i, no_cache = 0
    if library == NULL:
        return False
    for i, function in enumerate((
        b"ERR_clear_error", b"EVP_CIPHER_fetch", b"EVP_CIPHER_get0_provider", b"OSSL_PROVIDER_get0_provider_ctx",
        b"OSSL_PROVIDER_query_operation",
    )):
        functions[i] = crypto_symbol(library, PyBytes_AS_STRING(function))
        if functions[i] == NULL:
            return False
    global _clear_errors
    _clear_errors = <Clearer> functions[0]
    for i in range(6):
        # Never given back, like the library: so the provider stays.
        fetched = (<Fetcher> functions[1])(NULL, _FETCHED[i], NULL)
        provider = NULL if fetched == NULL else (<Finder> functions[2])(fetched)
        algorithm = NULL if provider == NULL else (<Querier> functions[4])(provider, CIPHERS, &no_cache)
        size = strlen(_FETCHED[i])
        while algorithm != NULL and algorithm.names != NULL:
            if strncmp(algorithm.names, _FETCHED[i], size) == 0 and algorithm.names[size] in (b":", b"\0"):
                break
            algorithm += 1
        if algorithm == NULL or algorithm.names == NULL:
            _clear_errors()
            return False
        if not _learn(&_ciphers[i], (<Finder> functions[3])(provider), algorithm.entries):
            return False
    return True


cdef class ProviderKeys(PacketKeys):
    """ProviderKeys(cipher, key, iv, header_key)\n--\n\nThe keys of one direction and key phase."""

    cdef const Cipher* _cipher
    cdef const Cipher* _header_cipher
    cdef void* _aead  # what the provider keeps of each
    cdef void* _header_state
    cdef bint _is_chacha

    def __cinit__(self, cipher, bytes key not None, bytes iv not None, bytes header_key not None):
        cdef int index = 2 * _NAMES.index(cipher)
        cdef size_t size = KEY_SIZES[cipher]
        if _clear_errors == NULL:
            raise RuntimeError("no provider was found")
        self._is_chacha = index == 4
        self._cipher = &_ciphers[index]
        self._header_cipher = &_ciphers[index + 1]
        self._aead = self._cipher.make(self._cipher.provider_context)
        self._header_state = self._header_cipher.make(self._header_cipher.provider_context)
        if self._aead == NULL or self._header_state == NULL:
            raise MemoryError
        cdef const unsigned char* secret = <const unsigned char*> PyBytes_AS_STRING(key)
        cdef const unsigned char* header_secret = <const unsigned char*> PyBytes_AS_STRING(header_key)
        if (
            self._cipher.begin_sealing(self._aead, secret, size, NULL, 0, NULL) != 1
            or self._header_cipher.begin_sealing(self._header_state, header_secret, size, NULL, 0, NULL) != 1
        ):
            _clear_errors()
            raise RuntimeError(f"the provider refuses {cipher}")

    def __dealloc__(self):
        if self._aead != NULL:
            self._cipher.free(self._aead)
        if self._header_state != NULL:
            self._header_cipher.free(self._header_state)

    cdef int _encrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        unsigned char* payload,
        Py_ssize_t payload_size,
    ) noexcept:
        cdef size_t size = 0
        cdef Parameter[2] tag
        _set_tag(tag, payload + payload_size)
        if (
            self._cipher.begin_sealing(self._aead, NULL, 0, nonce, IV_SIZE, NULL) != 1
            or self._cipher.update(self._aead, NULL, &size, header_size, header, header_size) != 1
            or self._cipher.update(self._aead, payload, &size, payload_size, payload, payload_size) != 1
            or self._cipher.finish(self._aead, payload + payload_size, &size, 0) != 1
            or self._cipher.get(self._aead, tag) != 1
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
        cdef size_t size = 0
        cdef Py_ssize_t payload_size = sealed_size - TAG_SIZE
        cdef Parameter[2] tag
        _set_tag(tag, <unsigned char*> sealed + payload_size)
        if (
            self._cipher.begin_opening(self._aead, NULL, 0, nonce, IV_SIZE, tag) != 1
            or self._cipher.update(self._aead, NULL, &size, header_size, header, header_size) != 1
            or self._cipher.update(self._aead, out, &size, payload_size, sealed, payload_size) != 1
            or self._cipher.finish(self._aead, out + payload_size, &size, 0) != 1
        ):
            _clear_errors()  # they would be taken for those of others in this thread
            return -1
        return 0

    cdef int _mask(self, const unsigned char* sample, unsigned char* mask) noexcept:
        cdef const Cipher* cipher = self._header_cipher
        cdef unsigned char[SAMPLE_SIZE] stream
        cdef size_t size = 0
        cdef int i, done
        if self._is_chacha:
            memset(stream, 0, MASK_SIZE)
            done = cipher.begin_sealing(self._header_state, NULL, 0, sample, SAMPLE_SIZE, NULL)
            if done == 1:
                done = cipher.update(self._header_state, stream, &size, MASK_SIZE, stream, MASK_SIZE)
        else:
            done = cipher.whole(self._header_state, stream, &size, SAMPLE_SIZE, sample, SAMPLE_SIZE)
        if done != 1:
            _clear_errors()
            return -1
        for i in range(MASK_SIZE):
            mask[i] = stream[i]
        return 0


cdef void _set_tag(Parameter* parameters, void* data) noexcept:
    """Write the list of one parameter, where the tag is, or comes to."""
    memset(parameters, 0, 2 * sizeof(Parameter))
    parameters.key = b"tag"
    parameters.kind = OCTET_STRING
    parameters.data = data
    parameters.size = TAG_SIZE


def _agrees(cipher):
    """Tell whether both write the same packet of a cipher, and the provider reads it, but not when it has changed."""
    size = KEY_SIZES[cipher]
    secrets = bytes(range(size)), bytes(range(100, 100 + IV_SIZE)), bytes(range(200, 200 + size))
    header, number = b"\x43identity\0\0\1\2", 258
    others, keys = LibcryptoKeys(cipher, *secrets), ProviderKeys(cipher, *secrets)
    for length in (50, 1, 1200, 50):  # the state that a packet leaves is that of the next one
        payload = bytes(each & 255 for each in range(length))
        packet = others.protect(header, payload, number)
        changed = packet[:-1] + bytes([packet[-1] ^ 1])
        if keys.protect(header, payload, number) != packet or keys.unprotect(changed, 9, number) is not None:
            return False
        if keys.unprotect(packet, 9, number) != (header, payload, number):
            return False
    return True


def _is_usable():
    global _clear_errors
    if LIBRARY is not None:
        name = b"" if LIBRARY == "the program" else LIBRARY.encode()
        try:
            if _load(name) and all(_agrees(cipher) for cipher in _NAMES):
                return True
        except (RuntimeError, MemoryError):  # one of the ciphers is refused
            pass
    _clear_errors = NULL
    return False


IS_USABLE = _is_usable()
"""Whether there is such a provider, and it does what libcrypto does."""
