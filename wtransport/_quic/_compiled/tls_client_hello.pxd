"""The hellos of a client's handshake of TLS."""


cdef class ClientHellos:
    cdef int go_to(self, state) except -1
    cdef int set_keys(self, direction, epoch, bytes label) except -1
    cdef bytes _hello(self, bytes share)
    # False when the message is left to aioquic, and nothing changed.
    cdef bint take_server_hello(self, bytes message) except -1
