"""What TLS messages are made of (RFC 8446, section 3), read from and written to memory of the caller.

What cannot be read leaves its cursor anywhere; what finds no room marks its writer as full, and writes nothing more.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


cdef enum:
    HEADER_SIZE = 4  # bytes of type and length
    RANDOM_SIZE = 32
    TLS_1_2 = 0x0303
    # Groups of key agreement.
    P256 = 0x17
    P521 = 0x19
    X25519 = 0x1D

cdef enum MessageType:
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    CERTIFICATE_VERIFY = 15
    FINISHED = 20

cdef enum ExtensionType:
    SERVER_NAME = 0
    SUPPORTED_GROUPS = 10
    SIGNATURE_ALGORITHMS = 13
    ALPN = 16
    PRE_SHARED_KEY = 41
    EARLY_DATA = 42
    SUPPORTED_VERSIONS = 43
    PSK_KEY_EXCHANGE_MODES = 45
    KEY_SHARE = 51


cdef struct Cursor:
    const unsigned char* at
    const unsigned char* end

cdef struct Writer:
    unsigned char* at
    unsigned char* end
    bint is_full


cdef inline Cursor over(bytes data) noexcept:
    cdef Cursor cursor
    cursor.at = <const unsigned char*> PyBytes_AS_STRING(data)
    cursor.end = cursor.at + PyBytes_GET_SIZE(data)
    return cursor


cdef inline bint is_at_end(Cursor* cursor) noexcept nogil:
    return cursor.at == cursor.end


cdef inline bytes text(Cursor* cursor):
    """Return what is left."""
    return PyBytes_FromStringAndSize(<const char*> cursor.at, cursor.end - cursor.at)


cdef inline bint read_part(Cursor* cursor, Py_ssize_t size, Cursor* part) noexcept nogil:
    """Read so many bytes; False when they are not there."""
    if cursor.end - cursor.at < size:
        return False
    part.at = cursor.at
    cursor.at += size
    part.end = cursor.at
    return True


cdef inline bint read_number(Cursor* cursor, int size, Py_ssize_t* number) noexcept nogil:
    """Read a number of so many bytes, 3 at most; False when they are not there."""
    cdef Py_ssize_t value = 0
    cdef int i
    if cursor.end - cursor.at < size:
        return False
    for i in range(size):
        value = value << 8 | cursor.at[i]
    cursor.at += size
    number[0] = value
    return True


cdef inline bint read_vector(Cursor* cursor, int size, Cursor* part) noexcept nogil:
    """Read bytes behind their length, which has so many bytes; False when they are not there."""
    cdef Py_ssize_t length = 0
    return read_number(cursor, size, &length) and read_part(cursor, length, part)


cdef inline bint read_whole_vector(Cursor* cursor, int size, Cursor* part) noexcept nogil:
    """Read bytes behind their length, after which nothing may come."""
    return read_vector(cursor, size, part) and cursor.at == cursor.end


cdef inline bint is_ascii(Cursor* part) noexcept nogil:
    cdef const unsigned char* at = part.at
    while at < part.end:
        if at[0] & 0x80:
            return False
        at += 1
    return True


cdef inline bint has_number(Cursor part, int size, Py_ssize_t number) noexcept nogil:
    """Tell whether a list of numbers of so many bytes has one."""
    cdef Py_ssize_t value = 0
    while read_number(&part, size, &value):
        if value == number:
            return True
    return False


cdef inline void write_number(Writer* writer, int size, Py_ssize_t number) noexcept nogil:
    cdef int i
    if writer.end - writer.at < size or number >> (8 * size):
        writer.is_full = True
        return
    for i in range(size):
        writer.at[i] = number >> (8 * (size - 1 - i)) & 0xFF
    writer.at += size


cdef inline void write_bytes(Writer* writer, bytes data) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if writer.end - writer.at < size:
        writer.is_full = True
        return
    memcpy(writer.at, PyBytes_AS_STRING(data), size)
    writer.at += size


cdef inline void write_vector(Writer* writer, int size, bytes data) noexcept:
    write_number(writer, size, PyBytes_GET_SIZE(data))
    write_bytes(writer, data)


cdef inline unsigned char* begin_vector(Writer* writer, int size) noexcept nogil:
    """Leave room for the length of what comes; return where it begins, for `end_vector`."""
    write_number(writer, size, 0)
    return writer.at


cdef inline void end_vector(Writer* writer, int size, unsigned char* start) noexcept nogil:
    """Write the length."""
    cdef Writer length
    if writer.is_full:
        return
    length.at = start - size
    length.end = start
    length.is_full = False
    write_number(&length, size, writer.at - start)
    writer.is_full = length.is_full
