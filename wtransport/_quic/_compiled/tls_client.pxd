"""A client's side of a handshake of TLS."""

from .tls_client_hello cimport ClientHellos


cdef bytes finished_message(bytes verify_data)


cdef class ClientMessages(ClientHellos):
    # One message each; False when it is left to aioquic, and nothing changed.
    cdef bint take_encrypted_extensions(self, bytes message) except -1
    cdef bint take_certificate(self, bytes message) except -1
    cdef bint take_certificate_verify(self, bytes message) except -1
    cdef bint take_server_finished(self, bytes message, output_buf) except -1
