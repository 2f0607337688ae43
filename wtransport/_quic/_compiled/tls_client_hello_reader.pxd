"""ClientHellos as they arrive."""

from .tls_wire cimport Cursor


cdef struct Hello:
    # Parts of a ClientHello; an extension that is not there has no beginning.
    Cursor random
    Cursor session_id
    Cursor suites
    Cursor compressions
    Cursor algorithms
    Cursor versions
    Cursor modes
    Cursor shares
    Cursor protocols


cdef bint read_hello(bytes message, Hello* hello, list others) except -1
cdef object chosen(ours, Cursor theirs, int size)
cdef bytes share_of(Cursor shares, list groups)
cdef bint protocols_of(Cursor names, list found) except -1
