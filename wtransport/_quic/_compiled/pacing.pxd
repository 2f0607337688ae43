"""When packets may be sent, so that a window does not go out in one burst (RFC 9002, section 7.7)."""

cimport cython


@cython.final
@cython.no_gc
cdef class Pacer:
    cdef double rate  # bytes in a second; 0: not paced
    cdef double burst  # bytes that may go at once while others are under way
    cdef double most  # bytes that may go at once after a pause
    cdef double rtt  # seconds
    cdef double sent_at
    cdef double credit  # bytes that may go now; below 0 after a packet that was larger
    cdef double counted_at
    cdef double datagram_size

    cdef double send_time(self, double now) noexcept  # when the next packet may go; 0.0: now
    cdef void on_sent(self, double size, double now) noexcept
    cdef void update(self, double window, double rtt, bint slow_start) noexcept
    cdef void restart(self, double datagram_size) noexcept
    cdef void _fill(self, double now) noexcept
