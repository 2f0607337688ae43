# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, freethreading_compatible=True
"""QUIC variable-length integers; the specification of every function is its twin in ``_pure/varint.py``."""

from __future__ import annotations

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from .arguments cimport as_index, as_varint
from .wire cimport read_varint, varint_length, write_varint

from .._inputs import check_buffer


def varint_size(value):
    """Return how many bytes the shortest encoding of value takes: 1, 2, 4 or 8."""
    return varint_length(as_varint("value", value))


def encode_varint(value):
    """Encode value in the fewest bytes."""
    cdef unsigned char[8] out
    cdef int length = write_varint(out, as_varint("value", value))
    return PyBytes_FromStringAndSize(<char*> out, length)


def encode_varint_into(buffer, offset, value):
    """Write value in the fewest bytes into a buffer and return the index after its last byte."""
    cdef Py_ssize_t size, start
    cdef int64_t number
    cdef int length
    if type(buffer) is not bytearray:
        check_buffer(buffer)
    if isinstance(buffer, bytes) or (isinstance(buffer, memoryview) and buffer.readonly):
        raise TypeError("buffer must be writable")
    size = len(buffer)
    start = as_index("offset", offset, size + 1)
    number = as_varint("value", value)
    length = varint_length(number)
    if start < 0 or start > size or length > size - start:
        raise ValueError("no room in buffer at offset")
    if type(buffer) is bytearray:
        write_varint(<unsigned char*> PyByteArray_AS_STRING(buffer) + start, number)
    else:
        buffer[start:start + length] = encode_varint(number)
    return start + length


def decode_varint(data, offset=0):
    """Decode one varint; None if more bytes are needed."""
    cdef Py_ssize_t size, start
    cdef Py_ssize_t window_start = 0
    cdef bytes window
    cdef int64_t value = 0
    cdef int length
    if type(data) is bytes:
        size = PyBytes_GET_SIZE(data)
    else:
        check_buffer(data)
        size = len(data)
    start = as_index("offset", offset, size + 1)
    if start < 0 or start > size:
        raise ValueError("offset must be in 0..len(data)")
    if type(data) is bytes:
        window = data
    else:
        # A varint has at most 8 bytes; copying these makes every kind of buffer the same, and safe to point into.
        window = bytes(data[start:start + 8])
        window_start = start
    length = read_varint(
        <const unsigned char*> PyBytes_AS_STRING(window) + (start - window_start),
        PyBytes_GET_SIZE(window) - (start - window_start),
        &value,
    )
    if length == 0:
        return None
    return value, start + length
