"""Telling handlers of the streams that a peer opens, for the session that takes them."""

from .data_stream cimport DataStream
from .handlers cimport HandlerCaller


cdef class KeptStreams:
    cdef public object kept
    cdef public bint is_pulled


cdef class StreamArrivals:
    cdef HandlerCaller _caller
    cdef object _event_type
    cdef object _session
    cdef KeptStreams _incoming_bidi
    cdef KeptStreams _incoming_uni
    cdef type _bidi
    cdef dict _bidi_data  # of the events: what they have in common
    cdef type _uni
    cdef dict _uni_data

    # Whether it was simple enough.
    cdef bint tell(self, DataStream stream) except -1
