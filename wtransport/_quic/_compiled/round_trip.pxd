"""Round-trip times of a path (RFC 9002, section 5), in seconds; all are 0.0 before the first sample, `min_rtt` INFINITY."""


cdef class RoundTrip:
    cdef readonly double latest_rtt  # less the delay of the acknowledgement
    cdef readonly double min_rtt
    cdef readonly double smoothed_rtt
    cdef readonly double rtt_variance
    cdef readonly double initial_rtt
    cdef double first_sample_at  # INFINITY: no sample yet

    cdef void add_sample(self, double sample, double ack_delay, double now) noexcept
    cdef double probe_timeout(self, double max_ack_delay) noexcept  # without backoff
    cdef double loss_delay(self) noexcept
    cdef void forget_samples(self) noexcept
