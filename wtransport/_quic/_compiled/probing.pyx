# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""The timers of loss recovery (RFC 9002, section 6): when to look for losses again, and when to send a probe."""

from __future__ import annotations

from libc.math cimport INFINITY, ldexp

from .loss cimport LossDetection
from .space cimport SENT_CRYPTO, SENT_ELICITING, SENT_RESCHEDULED, SENT_SETTLED, PacketSpace, SentPacket

cdef enum:
    LARGEST_BACKOFF = 20


def _nobody():
    """Stand in for a connection that is over."""


cdef class Probing(LossDetection):
    """The packet number spaces of a connection, and the one timer that they share."""

    def __init__(self, *, send_probe, **options):
        LossDetection.__init__(self, **options)
        self._spaces = []
        self._send_probe = send_probe

    def leave(self):
        """Let go of the connection, which is over."""
        self._send_probe = _nobody

    cdef PacketSpace first_loss(self):
        """Return the space in which a packet is lost next, or None."""
        cdef PacketSpace space, first = None
        for space in self._spaces:
            if space.loss_at != INFINITY and (first is None or space.loss_at < first.loss_at):
                first = space
        return first

    cdef double timer(self, bint amplification_limited) noexcept:
        cdef PacketSpace space = self.first_loss()
        cdef bint waits = not self.peer_completed_address_validation
        if space is not None:
            return space.loss_at
        if amplification_limited:
            return INFINITY
        for space in self._spaces:
            if space.ack_eliciting_in_flight and (self.handshake_confirmed or not space.is_application_data):
                waits = True
        if not waits:
            return INFINITY
        return self.eliciting_sent_at + ldexp(
            self.probe_timeout(self.max_ack_delay if self.handshake_confirmed else 0.0), self.pto_count
        )

    cdef int on_timeout(self, double now) except -1:
        cdef PacketSpace space = self.first_loss()
        if space is not None:
            return self.detect_loss(space, now)
        if self.pto_count < LARGEST_BACKOFF:
            self.pto_count += 1
        return self.reschedule(now, False)

    cdef int reschedule(self, double now, bint speed_up_handshake) except -1:
        """Send again what is under way of the handshake; else the oldest packet, so that a probe carries data (6.2.4)."""
        cdef PacketSpace space, oldest_space = None
        cdef SentPacket* packet
        cdef SentPacket* oldest = NULL
        cdef bint found = False
        cdef Py_ssize_t i
        for space in self._spaces:
            for i in range(space.sent_count):
                packet = space.sent_at(i)
                if packet.flags & SENT_CRYPTO and not packet.flags & SENT_SETTLED:
                    self.lose(space, packet, SENT_RESCHEDULED)
                    found = True
            space.pop_settled(self.first_sample_at)
        if not (found or speed_up_handshake):
            for space in self._spaces:
                if space.is_application_data and not self.handshake_confirmed:
                    continue
                for i in range(space.sent_count):
                    packet = space.sent_at(i)
                    if packet.flags & SENT_ELICITING and not packet.flags & SENT_SETTLED:
                        if oldest == NULL or packet.time < oldest.time:
                            oldest = packet
                            oldest_space = space
                        break
            if oldest != NULL:
                self.lose(oldest_space, oldest, SENT_RESCHEDULED)
                oldest_space.pop_settled(self.first_sample_at)
        self._send_probe()
        return 0
