# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""When packets may be sent, so that a window does not go out in one burst (RFC 9002, section 7.7).

A bucket of bytes that fills somewhat faster than a window in a round trip. After a pause it holds what an initial window
has. While packets are under way it fills up to less, so that acknowledgements that come together overflow no short
queue on the path. Two milliseconds' worth it always holds: timers are no finer than one, and packets that go together
cost one system call instead of many.
"""

from __future__ import annotations

cimport cython
from libc.math cimport fmax, fmin

cdef enum:
    PAUSE_PACKETS = 10  # after a round trip in which nothing was sent
    BURST_PACKETS = 4

cdef double BURST_TIME = 0.002
# Seconds between two bursts at least: nobody wakes for every packet.
cdef double MIN_WAIT = 0.001
cdef double SMALLEST_RTT = 0.000001
# How much faster than a window in a round trip: enough for a window to be used in spite of varying round-trip times, and
# for slow start to double it.
cdef double GAIN = 1.25
cdef double SLOW_START_GAIN = 2.0


@cython.final
@cython.no_gc
cdef class Pacer:
    """A bucket of bytes; without a rate, which comes with the first round-trip time, everything may go at once."""

    def __init__(self, *, double datagram_size):
        self.restart(datagram_size)

    def next_send_time(self, double now):
        """Return when the next packet may go, or None: now."""
        cdef double due = self.send_time(now)
        return due if due else None

    def charge(self, double size, double now):
        """Take note of so many bytes sent."""
        self.on_sent(size, now)

    def set_rate(self, double window, double rtt, bint slow_start):
        """Send a window of so many bytes in each round-trip time."""
        self.update(window, rtt, slow_start)

    cdef double send_time(self, double now) noexcept:
        cdef double missing
        if self.rate == 0.0:
            return 0.0
        self._fill(now)
        missing = self.datagram_size - self.credit
        if missing < 1.0:  # not 0, as sums of times are not exact
            return 0.0
        return now + fmax(missing / self.rate, MIN_WAIT)

    cdef void on_sent(self, double size, double now) noexcept:
        if self.rate:
            self._fill(now)
            self.credit -= size
            self.sent_at = now

    cdef void update(self, double window, double rtt, bint slow_start) noexcept:
        cdef bint first = self.rate == 0.0
        self.rate = (SLOW_START_GAIN if slow_start else GAIN) * window / fmax(rtt, SMALLEST_RTT)
        self.rtt = rtt
        self.burst = fmax(BURST_PACKETS * self.datagram_size, self.rate * BURST_TIME)
        self.most = fmax(PAUSE_PACKETS * self.datagram_size, self.rate * BURST_TIME)
        self.credit = self.most if first else fmin(self.credit, self.most)

    cdef void restart(self, double datagram_size) noexcept:
        self.rate = self.burst = self.most = self.credit = self.counted_at = self.sent_at = self.rtt = 0.0
        self.datagram_size = datagram_size

    cdef void _fill(self, double now) noexcept:
        cdef double limit
        if now > self.counted_at:
            limit = self.burst if now - self.sent_at < self.rtt else self.most
            if self.credit < limit:
                self.credit = fmin(self.credit + (now - self.counted_at) * self.rate, limit)
            self.counted_at = now
