"""Python arguments as C values, for the other kernels."""

from libc.stdint cimport int64_t

cdef int64_t as_varint(str name, object value) except -1
cdef int64_t as_index(str name, object value, int64_t largest) except? -2
