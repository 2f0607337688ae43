"""Loss recovery of a connection (RFC 9002), for the packet codec.

    if recovery.room() >= size and recovery.send_time(now) == 0.0:
        ... build a packet
        recovery.on_sent(space, number, size, ack_eliciting, in_flight, &frames, now)  # `frames` is empty afterwards
    consumed = recovery.on_ack(space, data, size, is_ecn, next_number, now)  # raises TransportViolation
    recovery.drain()

`on_ack`, `on_timeout` and `reschedule` put what the packets carried that are settled now into `acknowledged` and `lost`;
`drain` tells those whom it concerns: the handlers of packets that aioquic's builder made, and of all other frames what
`set_sink` was told. Methods that Python calls drain by themselves; ACK frames need nobody. A caller may instead take the
frames of the two lists itself and clear them, but `drain` must have those of FRAME_PYTHON.
"""

from .probing cimport Probing
from .sent cimport FrameList, SentFrame

# Takes the object given to `set_sink`; neither the frame nor its owner's reference.
ctypedef int (*Sink)(object owner, SentFrame* frame, bint acknowledged) except -1


cdef class Recovery(Probing):
    cdef dict _handlers  # of packets that Python built, by packet number
    cdef object _sink_owner
    cdef Sink _sink
    cdef object _watcher
    cdef bint _watches_acknowledged

    cdef void set_sink(self, object owner, Sink sink)
    cdef int drain(self) except -1

    cdef int _settle(self, FrameList* frames, bint acknowledged) except -1
    cdef int _tell_watcher(self) except -1
