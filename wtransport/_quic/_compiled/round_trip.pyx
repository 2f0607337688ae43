# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""Round-trip times of a path, and the timeouts that follow from them (RFC 9002, sections 5 and 6)."""

from __future__ import annotations

from libc.math cimport INFINITY, fabs, fmax, fmin

cdef double GRANULARITY = 0.001
cdef double TIME_THRESHOLD = 9.0 / 8


cdef class RoundTrip:
    """The estimate of a path's round-trip time."""

    def __init__(self, *, double initial_rtt):
        self.initial_rtt = initial_rtt
        self.forget_samples()

    @property
    def has_samples(self):
        """Whether there was a round trip."""
        return self.first_sample_at != INFINITY

    cdef void add_sample(self, double sample, double ack_delay, double now) noexcept:
        """Take a round trip; `ack_delay` is what the peer says of it, already limited."""
        sample = fmax(sample, 0.0)
        self.min_rtt = fmin(self.min_rtt, sample)
        if sample >= self.min_rtt + ack_delay:
            sample -= ack_delay
        self.latest_rtt = sample
        if self.first_sample_at == INFINITY:
            self.first_sample_at = now
            self.smoothed_rtt = sample
            self.rtt_variance = sample / 2
        else:
            self.rtt_variance += (fabs(self.smoothed_rtt - sample) - self.rtt_variance) / 4
            self.smoothed_rtt += (sample - self.smoothed_rtt) / 8

    cdef double probe_timeout(self, double max_ack_delay) noexcept:
        if self.first_sample_at == INFINITY:
            return 2 * self.initial_rtt
        return self.smoothed_rtt + fmax(4 * self.rtt_variance, GRANULARITY) + max_ack_delay

    cdef double loss_delay(self) noexcept:
        if self.first_sample_at == INFINITY:
            return TIME_THRESHOLD * self.initial_rtt
        return fmax(TIME_THRESHOLD * fmax(self.latest_rtt, self.smoothed_rtt), GRANULARITY)

    cdef void forget_samples(self) noexcept:
        self.min_rtt = self.first_sample_at = INFINITY
        self.latest_rtt = self.smoothed_rtt = self.rtt_variance = 0.0
