"""HMAC and TLS 1.3's HKDF-Expand-Label (RFC 8446, section 7.1), with SHA-256 or SHA-384."""

cdef enum:
    MAX_HASH = 48  # bytes of the longest of both hashes


cdef int hash_size(algorithm) except -1

# `wide` says SHA-384. No key is longer than a block (64 bytes, or 128), no context longer than a hash.
cdef int hmac_into(
    bint wide, const unsigned char* key, Py_ssize_t key_size, const unsigned char* message, Py_ssize_t size,
    unsigned char* out,
) except -1
cdef int expand_label(
    bint wide, const unsigned char* secret, Py_ssize_t secret_size, const char* label, const unsigned char* context,
    Py_ssize_t context_size, unsigned char* out, int size,
) except -1
