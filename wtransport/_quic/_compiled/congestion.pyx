# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""How many bytes may be under way: NewReno (RFC 9002, section 7) and CUBIC (RFC 9438), with HyStart++ (RFC 9406).

Windows are bytes, as fractions: what CUBIC adds for one packet may be less than one. A window grows only while it is in
use (RFC 9002, 7.8).
"""

from __future__ import annotations

cimport cython
from libc.math cimport INFINITY, cbrt, floor, fmax, fmin
from libc.stdint cimport uint64_t

cdef enum:
    INITIAL_PACKETS = 10
    MINIMUM_PACKETS = 2
    # A window counts as used when less than so many packets fit into what is left.
    SLACK_PACKETS = 3
    # HyStart++: samples that a round must have, and rounds of conservative slow start before it ends.
    ROUND_SAMPLES = 8
    SLOW_ROUNDS = 5
    SLOW_DIVISOR = 4

cdef double INITIAL_BYTES = 14720  # RFC 9002, 7.2

cdef double RENO_BETA = 0.5
cdef double CUBIC_BETA = 0.7
cdef double CUBIC_C = 0.4
cdef double CUBIC_ALPHA = 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA)

# HyStart++: seconds by which round trips become longer where a queue grows.
cdef double SMALLEST_RISE = 0.004
cdef double LARGEST_RISE = 0.016


cdef class CongestionControl:
    """What both algorithms have in common: slow start, recovery periods and what is under way."""

    def __init__(self, double datagram_size):
        self.datagram_size = datagram_size
        self.restart()

    @property
    def is_slow_start(self):
        """Whether the window grows by what is acknowledged."""
        return self.window < self.threshold

    cdef void restart(self) noexcept:
        """Begin on another path."""
        self.window = fmin(INITIAL_PACKETS * self.datagram_size, fmax(INITIAL_BYTES, 2 * self.datagram_size))
        self.in_flight = 0
        self.threshold = INFINITY
        self.recovery_start = -INFINITY
        self.limited_until = 0
        self.acknowledged = 0
        self.was_idle = False
        self.round_end = 0
        self.round_min = self.last_round_min = self.baseline_min = INFINITY
        self.round_samples = self.slow_rounds = 0

    cdef void set_datagram_size(self, double size) noexcept:
        self.datagram_size = size
        self.window = fmax(self.window, MINIMUM_PACKETS * size)

    cdef Py_ssize_t room(self) noexcept:
        """Return how much may be sent: no fractions of packets, which would make many small ones of one large one."""
        cdef double left = self.window - self.in_flight
        return <Py_ssize_t> (floor(left / self.datagram_size) * self.datagram_size if left > 0 else left)

    cdef void on_sent(self, uint64_t number, double size) noexcept:
        self.in_flight += size
        if (
            self.in_flight + SLACK_PACKETS * self.datagram_size > self.window
            # Pacing fills a window late that doubles in each round.
            or (self.window < self.threshold and 2 * self.in_flight >= self.window)
        ):
            self.limited_until = number + 1

    cdef void on_acknowledged(self, uint64_t number, double size, double sent_at) noexcept:
        self.in_flight -= size
        if sent_at <= self.recovery_start:
            return
        # Whatever was under way when the window was in use tells that the path takes it; packets after those were all
        # that there was to send.
        if number < self.limited_until:
            self.acknowledged += size
        else:
            self.was_idle = True

    cdef void grow(self, double now, double rtt) noexcept:
        cdef double size = self.acknowledged
        if size == 0:
            if self.was_idle:
                self._pause(now)
        elif self.window >= self.threshold:
            self._avoid(fmin(size, self.window), now, rtt)
        else:
            self.window = fmin(self.window + (size / SLOW_DIVISOR if self.slow_rounds else size), self.threshold)
        self.acknowledged = 0
        self.was_idle = False

    cdef void on_expired(self, double size) noexcept:
        self.in_flight -= size

    cdef void on_lost(self, double sent_at, double now) noexcept:
        """Take a loss; `sent_at` is when the latest of the lost packets was sent, which `on_expired` has taken."""
        if sent_at > self.recovery_start:
            self.recovery_start = now
            self.acknowledged = 0  # it was sent before
            self._reduce()

    cdef void on_persistent_congestion(self) noexcept:
        self.window = MINIMUM_PACKETS * self.datagram_size
        self.recovery_start = -INFINITY

    cdef void on_rtt(self, uint64_t largest, uint64_t next_number, double rtt) noexcept:
        """Take a round-trip time; leave the first slow start when a queue grows."""
        if self.threshold != INFINITY:
            return
        if largest >= self.round_end:
            self.round_end = next_number
            self.last_round_min = self.round_min
            self.round_min = INFINITY
            self.round_samples = 0
            if self.slow_rounds:
                self.slow_rounds += 1
                if self.slow_rounds > SLOW_ROUNDS:
                    self.threshold = self.window
                    return
        self.round_min = fmin(self.round_min, rtt)
        self.round_samples += 1
        if self.round_samples < ROUND_SAMPLES or self.last_round_min == INFINITY:
            return
        if self.slow_rounds:
            if self.round_min < self.baseline_min:
                self.slow_rounds = 0  # it was something else
        elif self.round_min >= self.last_round_min + fmin(
            fmax(self.last_round_min / 8, SMALLEST_RISE), LARGEST_RISE
        ):
            self.baseline_min = self.round_min
            self.slow_rounds = 1

    cdef void _avoid(self, double size, double now, double rtt) noexcept:
        """Grow in congestion avoidance, for so many bytes that were acknowledged."""

    cdef void _pause(self, double now) noexcept:
        """Take note that the window is not in use."""

    cdef void _reduce(self) noexcept:
        """Make the window smaller, at the beginning of a recovery period."""


@cython.final
cdef class NewReno(CongestionControl):
    """RFC 9002, section 7: by one packet in a round trip, by half at a loss."""

    cdef void _avoid(self, double size, double now, double rtt) noexcept:
        self.window += self.datagram_size * size / self.window

    cdef void _reduce(self) noexcept:
        self.window = fmax(RENO_BETA * self.window, MINIMUM_PACKETS * self.datagram_size)
        self.threshold = self.window


@cython.final
cdef class Cubic(CongestionControl):
    """RFC 9438: by a cubic function of the time since the last loss, and never slower than Reno would be."""

    cdef void restart(self) noexcept:
        CongestionControl.restart(self)
        self.window_max = self.window_prior = 0.0
        self.estimate = self.epoch_window = self.k = 0.0
        self.epoch_start = self.paused_at = INFINITY

    cdef void on_persistent_congestion(self) noexcept:
        CongestionControl.on_persistent_congestion(self)
        # The function begins anew where slow start ends (4.8).
        self.window_max = 0.0
        self.epoch_start = self.paused_at = INFINITY

    cdef void _avoid(self, double size, double now, double rtt) noexcept:
        cdef double elapsed, reached, target
        if self.epoch_start == INFINITY:
            self.epoch_start = now
            self.epoch_window = self.estimate = self.window
            if self.window_max < self.window:  # slow start ended without a loss (4.10)
                self.window_max = self.window_prior = self.window
            self.k = cbrt((self.window_max - self.epoch_window) / self.datagram_size / CUBIC_C)
        elif self.paused_at != INFINITY:
            self.epoch_start += now - self.paused_at  # time in which the window was not in use does not count (5.8)
        self.paused_at = INFINITY
        elapsed = now - self.epoch_start
        reached = self.window_max + CUBIC_C * (elapsed - self.k) ** 3 * self.datagram_size
        self.estimate += (
            (CUBIC_ALPHA if self.estimate < self.window_prior else 1.0) * self.datagram_size * size / self.window
        )
        if reached < self.estimate:
            self.window = fmax(self.window, self.estimate)
            return
        target = self.window_max + CUBIC_C * (elapsed + rtt - self.k) ** 3 * self.datagram_size
        target = fmin(fmax(target, self.window), 1.5 * self.window)
        self.window += (target - self.window) * size / self.window

    cdef void _pause(self, double now) noexcept:
        if self.paused_at == INFINITY:
            self.paused_at = now

    cdef void _reduce(self) noexcept:
        self.window_prior = self.window
        # Who had less than before leaves room for newcomers (4.7, fast convergence).
        self.window_max = self.window * (1 + CUBIC_BETA) / 2 if self.window < self.window_max else self.window
        self.window = fmax(CUBIC_BETA * self.window, MINIMUM_PACKETS * self.datagram_size)
        self.threshold = self.window
        self.epoch_start = self.paused_at = INFINITY


cdef CongestionControl create_congestion_control(str algorithm, double datagram_size):
    if algorithm == "cubic":
        return Cubic(datagram_size)
    if algorithm == "reno":
        return NewReno(datagram_size)
    raise ValueError(f"unknown congestion control algorithm: {algorithm}")
