"""How many bytes may be under way: NewReno (RFC 9002, section 7) and CUBIC (RFC 9438)."""

from libc.stdint cimport uint64_t


cdef class CongestionControl:
    cdef public double window  # bytes
    cdef public double in_flight  # bytes
    cdef public double threshold  # the slow start threshold, bytes; INFINITY: none yet
    cdef readonly double datagram_size  # bytes
    cdef double recovery_start  # packets sent until then neither grow the window nor shrink it again
    cdef uint64_t limited_until  # number behind the last packet that was sent while the window was in use
    cdef double acknowledged  # bytes that the window grows by or for
    cdef bint was_idle  # something was acknowledged that was sent while the window was not in use
    # HyStart++ (RFC 9406), by rounds of packet numbers.
    cdef uint64_t round_end
    cdef double round_min
    cdef double last_round_min
    cdef double baseline_min
    cdef int round_samples
    cdef int slow_rounds  # of conservative slow start; 0: not in it

    cdef Py_ssize_t room(self) noexcept  # bytes that may be sent: of whole packets, or below 0
    cdef void on_sent(self, uint64_t number, double size) noexcept
    cdef void on_acknowledged(self, uint64_t number, double size, double sent_at) noexcept
    cdef void grow(self, double now, double rtt) noexcept  # for what was acknowledged, after `on_lost` of the same frame
    cdef void on_expired(self, double size) noexcept
    cdef void on_lost(self, double sent_at, double now) noexcept
    cdef void on_persistent_congestion(self) noexcept
    cdef void on_rtt(self, uint64_t largest, uint64_t next_number, double rtt) noexcept
    cdef void set_datagram_size(self, double size) noexcept
    cdef void restart(self) noexcept

    cdef void _avoid(self, double size, double now, double rtt) noexcept
    cdef void _pause(self, double now) noexcept
    cdef void _reduce(self) noexcept


cdef class NewReno(CongestionControl):
    pass


cdef class Cubic(CongestionControl):
    cdef double window_max
    cdef double window_prior
    cdef double estimate  # what Reno's window would be
    cdef double epoch_start  # INFINITY: begins with the next acknowledgement
    cdef double epoch_window
    cdef double paused_at  # since then the window was not in use; INFINITY: it is
    cdef double k


cdef CongestionControl create_congestion_control(str algorithm, double datagram_size)
