# cython: language_level=3
"""Python arguments as C values; the odd cases are those of `wtransport._speedups._inputs`, which both twins share."""

from __future__ import annotations

from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.stdint cimport int64_t

from .._constants import MAX_VARINT
from .._inputs import check_int, check_varint

cdef int64_t _MAX_VARINT = MAX_VARINT


cdef int64_t as_varint(str name, object value) except -1:
    """Return value, which must be in 0..2**62-1."""
    cdef int overflow = 0
    cdef int64_t number = -1
    if isinstance(value, int):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if not overflow and 0 <= number <= _MAX_VARINT:
            return number
    # Raises, since value is not a varint; were it to return, the -1 below would be a SystemError.
    check_varint(name, value)
    return -1


cdef int64_t as_index(str name, object value, int64_t largest) except? -2:
    """Return value cut off to -2..largest, so that no C integer can overflow; the caller refuses what it must."""
    cdef int overflow = 0
    cdef int64_t number
    if not isinstance(value, int):
        check_int(name, value)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow > 0 or (overflow == 0 and number > largest):
        return largest
    if overflow < 0 or number < -2:
        return -2
    return number
