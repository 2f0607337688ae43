"""The timers of loss recovery, below `Recovery`. Times are seconds; INFINITY stands for none."""

from .loss cimport LossDetection
from .space cimport PacketSpace


cdef class Probing(LossDetection):
    cdef list _spaces
    cdef object _send_probe

    cdef double timer(self, bint amplification_limited) noexcept
    cdef int on_timeout(self, double now) except -1
    cdef int reschedule(self, double now, bint speed_up_handshake) except -1

    cdef PacketSpace first_loss(self)
