"""How large packets may be on one path: packetization layer path MTU discovery (RFC 8899; RFC 9000, 14.3).

Sizes are bytes of UDP payload. Nothing here sends or reads a clock: the connection asks for a probe when it has sent so
many bytes, and tells what became of it.
"""

from __future__ import annotations

import enum
import sys

BASE_UDP_PAYLOAD = 1200
"""Bytes that every path of QUIC takes (RFC 9000, 14); the handshake has shown that this one does."""

MAX_PROBES = 3
"""Probes of one size that are lost until the size counts as too large (RFC 8899, 5.1.2)."""

SEARCH_STEP = 16
"""Bytes: a search ends when less than this could still be won."""

PROBE_BYTES = 24_000
"""Bytes sent on a path before the first probe, and from one to the next: twenty packets of the base size. A connection
that sends less is not worth a probe, and a search costs no more than a sixteenth of what is sent meanwhile."""

SEARCH_INTERVAL = 600.0
"""Seconds after a search until the next one, as paths change (RFC 8899, 5.1.1: PMTU_RAISE_TIMER)."""

BLACK_HOLE_INTERVAL = 60.0
"""Seconds after a black hole until the next search: where packets go different ways, the next hole is near."""

BLACK_HOLE_ROUNDS = 3
"""Losses of large packets, one after another and with only smaller ones arriving between, that make a black hole."""

NEVER = sys.maxsize
"""More bytes than are ever sent."""


class SearchState(enum.Enum):
    """RFC 8899, 5.2; a path that takes no base packets has no connection, so "error" is what a black hole leaves."""

    BASE = "base"
    SEARCHING = "searching"
    COMPLETE = "complete"
    ERROR = "error"


_BASE, _COMPLETE = SearchState.BASE, SearchState.COMPLETE
"""As names: to get at a member by its class takes longer."""


class PathMtu:
    """The size in use on a path, and the search for a larger one: the largest first, then by halves."""

    __slots__ = ("_candidate", "_ceiling", "_limit", "_losses", "_probed_at", "_search_at", "check_at", "size", "state")

    def __init__(self, limit: int, *, sent: int = 0) -> None:
        """Begin with the base size.

        Args:
            limit: the largest size to try; the base size or less switches the search off.
            sent: bytes sent on the path so far.
        """
        self.size = BASE_UDP_PAYLOAD
        """Bytes of the largest packet that is known to pass."""
        is_over = limit <= BASE_UDP_PAYLOAD
        self.state = _COMPLETE if is_over else _BASE
        self.check_at = NEVER if is_over else sent + PROBE_BYTES
        """`next_probe` is to be called once so many bytes were sent on the path."""
        self._limit = self._ceiling = self._candidate = limit
        self._losses = 0
        self._probed_at = self._search_at = 0.0

    def cap(self, limit: int) -> None:
        """Take note that the peer takes no larger packets than this; before the first probe."""
        self._limit = min(self._limit, limit)
        if self._limit <= self.size:
            self.state = SearchState.COMPLETE
            self.check_at = NEVER

    def rebase(self, sent: int) -> None:
        """Go on on a path between the same hosts, on which so many bytes were sent."""
        if self.check_at != NEVER:
            self.check_at = sent + PROBE_BYTES

    def next_probe(self, sent: int, now: float) -> int | None:
        """Return the size of the probe to send now, or None; `on_probe_sent` follows if it could be sent."""
        if self.state is not SearchState.SEARCHING:
            if now < self._search_at:
                self.check_at = sent + PROBE_BYTES
                return None
            self.state = SearchState.SEARCHING
            self._ceiling = self._candidate = self._limit
            self._losses = 0
        return self._candidate

    def on_probe_sent(self, now: float) -> None:
        """Send no other probe until the fate of this one is known."""
        self._probed_at = now
        self.check_at = NEVER

    def on_probe_acknowledged(self, size: int, sent: int) -> None:
        """Use a size that has passed."""
        if self.state is SearchState.SEARCHING:
            self.size = max(self.size, size)
            self._go_on(sent)

    def on_probe_lost(self, size: int, sent: int) -> None:
        """Try the size again, or a smaller one when it was lost too often."""
        if self.state is not SearchState.SEARCHING:
            return
        self._losses += 1
        if self._losses < MAX_PROBES:
            self.check_at = sent + PROBE_BYTES
        else:
            self._ceiling = size - 1
            self._go_on(sent)

    def on_black_hole(self, sent: int, now: float) -> None:
        """Fall back to the base size; what else passes is looked for later."""
        self.size = BASE_UDP_PAYLOAD
        self.state = SearchState.ERROR
        self._search_at = now + BLACK_HOLE_INTERVAL
        self.check_at = sent + PROBE_BYTES

    def _go_on(self, sent: int) -> None:
        self._losses = 0
        self.check_at = sent + PROBE_BYTES
        if self._ceiling - self.size >= SEARCH_STEP:
            self._candidate = (self._ceiling + self.size + 1) // 2
            return
        self.state = SearchState.COMPLETE
        self._search_at = self._probed_at + SEARCH_INTERVAL
        if self.size == self._limit:
            self.check_at = NEVER


class BlackHoleDetector:
    """Finds out that packets above the base size do not arrive any more, while smaller ones do.

    A loss counts once for whatever was under way with it, so that an outage or a full queue is one, and only after
    something smaller has arrived. The arrival of a packet as large as one that was lost begins the count anew.
    """

    __slots__ = ("_next_number", "_rounds", "_smaller_arrived", "_smallest_lost")

    def __init__(self) -> None:
        """Begin with no suspicion."""
        self._rounds = 0
        self._next_number = 0
        self._smallest_lost = 0
        self._smaller_arrived = False

    @property
    def is_suspicious(self) -> bool:
        """Tell whether there was a loss, so that `on_acknowledged` must be told of every packet."""
        return self._rounds > 0

    def reset(self) -> None:
        """Suspect nothing."""
        self._rounds = 0

    def on_lost(self, number: int, size: int, next_number: int) -> bool:
        """Take a loss of packets above the base size; True when they fall into a black hole.

        Args:
            number: the packet number of the latest of them.
            size: bytes of the smallest of them.
            next_number: the number of the next packet to be sent.
        """
        if not self._rounds:
            self._smallest_lost = size
        elif number < self._next_number or not self._smaller_arrived:
            return False
        self._smallest_lost = min(self._smallest_lost, size)
        self._rounds += 1
        self._next_number = next_number
        self._smaller_arrived = False
        return self._rounds >= BLACK_HOLE_ROUNDS

    def on_acknowledged(self, size: int) -> None:
        """Take the arrival of a packet of any size."""
        if size >= self._smallest_lost:
            self._rounds = 0
        else:
            self._smaller_arrived = True
