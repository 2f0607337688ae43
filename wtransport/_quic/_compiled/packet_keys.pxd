"""The keys of one encryption level as aioquic's connection uses them."""

from .protection cimport PacketKeys


cdef class PacketContext:
    # By aioquic's names.
    cdef public PacketKeys aead  # None: no keys
    cdef public object cipher_suite
    cdef public int key_phase
    cdef public bytes secret
    cdef public object version
    cdef public object _setup_cb
    cdef public object _teardown_cb
    cdef PacketKeys previous  # of the key phase before, to read with; None: there was none
    cdef readonly bytes first_secret  # of the first key phase: headers are protected with its key all the time

    cdef int set_secret(self, cipher_suite, bytes secret, version) except -1
    cdef bytes _next_secret(self)
    cdef int update(self, trigger) except -1


cdef class PacketPair:
    cdef readonly int aead_tag_size
    cdef public PacketContext recv
    cdef public PacketContext send
    cdef public bint _update_key_requested

    cdef int _update(self, trigger) except -1
