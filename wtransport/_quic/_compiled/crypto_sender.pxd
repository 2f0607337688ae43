"""A stream of TLS messages (RFC 9000, 19.6)."""


cdef class CryptoSender:
    cdef bytes _data
    cdef Py_ssize_t _next  # everything before was sent once
    cdef list _lost  # ranges to be sent again, in order; None while there was no loss

    cdef bint is_empty(self) noexcept


cdef class MessageStream:
    cdef readonly CryptoSender sender
    cdef object _receiver  # None: nothing came
