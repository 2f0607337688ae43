"""Bytes of TLS as they arrive."""

from .connection_state cimport ConnectionState


cdef class TlsReader(ConnectionState):
    cdef Py_ssize_t take_crypto(self, object context, const unsigned char* data, Py_ssize_t size) except -1
    cdef int _push_answers(self) except -1
    cdef int _complete_handshake(self) except -1
