"""What a connection lets go of."""

from .negotiation cimport Negotiation


cdef class Releasing(Negotiation):
    pass
