"""One lazy timer; see the twin."""


cdef class DeadlineTimer:
    cdef readonly double fires_at
    cdef double due  # the deadline, or infinity
    cdef double handled_at
    cdef double shortest_wait
    cdef object loop
    cdef object clock
    cdef bint is_monotonic
    cdef object callback
    cdef object context
    cdef object handle

    cdef int move(self, object deadline) except -1
    cdef int arm(self, double now) except -1
