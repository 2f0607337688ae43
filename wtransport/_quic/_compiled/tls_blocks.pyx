# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Blocks and lists of TLS messages (RFC 8446, section 3.4), written into and read from aioquic's buffers.

The twins are in `_quic/tls_blocks.py`.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from ..._speedups._compiled.wire cimport read_varint, varint_length, write_varint

from aioquic.tls import AlertDecodeError, SkipItem


cdef bytes _length(Py_ssize_t value, int capacity):
    if value >> (8 * capacity):
        raise OverflowError("int too big to convert")
    cdef unsigned char[8] out
    cdef int i
    for i in range(capacity):
        out[i] = value >> (8 * (capacity - 1 - i)) & 0xFF
    return out[:capacity]


cdef Py_ssize_t _pull_length(buf, int capacity) except -1:
    cdef bytes data = buf.pull_bytes(capacity)
    cdef Py_ssize_t length = 0
    cdef int i
    for i in range(capacity):
        length = length << 8 | <unsigned char> data[i]
    return length


cdef class PushBlock:
    """PushBlock(buf, capacity)\n--\n\nWrites what is written meanwhile with its length ahead."""

    cdef object _buf
    cdef int _capacity
    cdef Py_ssize_t _start

    def __init__(self, buf, int capacity):
        self._buf = buf
        self._capacity = capacity

    def __enter__(self):
        self._start = self._buf.tell() + self._capacity
        self._buf.seek(self._start)

    def __exit__(self, kind, error, trace):
        cdef Py_ssize_t end
        if kind is None:
            buf = self._buf
            end = buf.tell()
            buf.seek(self._start - self._capacity)
            buf.push_bytes(_length(end - self._start, self._capacity))
            buf.seek(end)


cdef class PushExtension(PushBlock):
    """PushExtension(buf, extension_type)\n--\n\nWrites an extension: its type, its length, and what is written meanwhile."""

    def __init__(self, buf, extension_type):
        self._buf = buf
        self._capacity = 2
        buf.push_uint16(extension_type)


cdef class PullBlock:
    """PullBlock(buf, capacity)\n--\n\nReads a length, and sees to it that so much is read meanwhile."""

    cdef object _buf
    cdef int _capacity
    cdef Py_ssize_t _end

    def __init__(self, buf, int capacity):
        self._buf = buf
        self._capacity = capacity

    def __enter__(self):
        cdef Py_ssize_t length = _pull_length(self._buf, self._capacity)
        self._end = <Py_ssize_t> self._buf.tell() + length
        return length

    def __exit__(self, kind, error, trace):
        if kind is None and self._buf.tell() != self._end:
            raise AlertDecodeError("extra bytes at the end of a block")


cdef class PushMessage:
    """PushMessage(schedule, buf)\n--\n\nAdds what is written meanwhile to the transcript."""

    cdef object _buf
    cdef object _schedule
    cdef Py_ssize_t _start

    def __init__(self, schedule, buf):
        self._schedule = schedule
        self._buf = buf

    def __enter__(self):
        self._start = self._buf.tell()

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._schedule.update_hash(self._buf.data_slice(self._start, self._buf.tell()))


def push_opaque(buf, int capacity, value):
    """Write bytes with their length ahead."""
    buf.push_bytes(_length(len(value), capacity))
    buf.push_bytes(value)


def pull_opaque(buf, int capacity):
    """Read bytes with their length ahead."""
    return buf.pull_bytes(_pull_length(buf, capacity))


def push_list(buf, int capacity, func, values):
    """Write a list, each item of which a function writes."""
    cdef Py_ssize_t start = <Py_ssize_t> buf.tell() + capacity
    cdef Py_ssize_t end
    buf.seek(start)
    for value in values:
        func(value)
    end = buf.tell()
    buf.seek(start - capacity)
    buf.push_bytes(_length(end - start, capacity))
    buf.seek(end)


def pull_list(buf, int capacity, func):
    """Read a list, each item of which a function reads, or skips by raising `SkipItem`.

    Raises:
        AlertDecodeError: it does not end with an item.
    """
    cdef list items = []
    cdef Py_ssize_t length = _pull_length(buf, capacity)
    cdef Py_ssize_t end = <Py_ssize_t> buf.tell() + length
    while <Py_ssize_t> buf.tell() < end:
        try:
            items.append(func())
        except SkipItem:
            pass
    if <Py_ssize_t> buf.tell() != end:
        raise AlertDecodeError("extra bytes at the end of a block")
    return items


def split_parameters(bytes data not None):
    """Return identifier and value of each transport parameter; None if one is cut."""
    cdef const unsigned char* start = <const unsigned char*> PyBytes_AS_STRING(data)
    cdef Py_ssize_t position = 0, end = PyBytes_GET_SIZE(data)
    cdef int64_t identifier = 0, length = 0
    cdef int used
    cdef list parameters = []
    while position < end:
        used = read_varint(start + position, end - position, &identifier)
        if not used:
            return None
        position += used
        used = read_varint(start + position, end - position, &length)
        if not used or length > end - position - used:
            return None
        position += used
        parameters.append((identifier, data[position : position + length]))
        position += length
    return parameters


cdef int64_t _varint_of(value) except -1:
    # An integer that does not even fit 64 bits is out of range like the others.
    if not isinstance(value, int):
        raise TypeError(f"value must be int, not {type(value).__name__}")
    if not 0 <= value < 1 << 62:
        raise ValueError("value must be in 0..2**62-1")
    return value


def join_parameters(table not None, dict values not None, encode):
    """Return transport parameters as they are on the wire."""
    cdef unsigned char[24] head
    cdef int size
    cdef int64_t number
    cdef list written = []
    for identifier, (name, kind) in table.items():
        value = values[name]
        if value is None or value is False:
            continue
        size = write_varint(head, _varint_of(identifier))
        if kind is int:
            number = _varint_of(value)
            head[size] = varint_length(number)
            size += 1 + write_varint(head + size + 1, number)
            written.append(PyBytes_FromStringAndSize(<char*> head, size))
            continue
        data = value if kind is bytes else encode(kind, value)
        size += write_varint(head + size, len(data))
        written.append(PyBytes_FromStringAndSize(<char*> head, size))
        written.append(data)
    return b"".join(written)


def read_parameters(bytes data not None, table not None, dict values not None, decode):
    """Put the values of transport parameters under their names; those that the table has not are passed over."""
    cdef list pairs = split_parameters(data)
    cdef bytes text
    cdef Py_ssize_t length, size
    cdef int64_t number = 0
    if pairs is None:
        raise ValueError("Transport parameters are cut")
    for identifier, item in pairs:
        known = table.get(identifier)
        if known is None:
            continue
        name, kind = known
        text = item
        length = PyBytes_GET_SIZE(text)
        if kind is int:
            size = read_varint(<const unsigned char*> PyBytes_AS_STRING(text), length, &number)
            if not size:
                size = -1
            value = number
        elif kind is bytes:
            value, size = text, length
        else:
            value, size = decode(kind, text)
        if size != length:
            raise ValueError("Transport parameter length does not match")
        values[name] = value
