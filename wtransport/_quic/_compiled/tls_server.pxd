"""Both sides' messages of TLS."""

from .tls_client cimport ClientMessages


cdef class TlsMessages(ClientMessages):
    cdef bint _take(self, bytes message, output_buf) except -1
    cdef bint _take_client_hello(self, bytes message, output_buf) except -1
    cdef bint _take_client_finished(self, bytes message) except -1
    cdef bytes _server_hello(self, suite, compression, version, bytes share)
    cdef bytes _encrypted_extensions(self, protocol)
