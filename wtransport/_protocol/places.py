"""Which streams of the peer keep their place in QUIC's stream limit: those that are not over, and those not dealt with.

A stream whose bytes nobody has read, or that nobody has taken, still costs memory when QUIC is done with it. If its
place were given away then, a peer could have us keep any number of tiny streams.
"""

from __future__ import annotations

from collections.abc import Callable

from .._quic.port import QuicPort, StreamOver

__all__ = ["StreamPlaces"]


class StreamPlaces:
    """The data streams of a connection that hold their places."""

    __slots__ = ("_held", "_port", "hold")

    def __init__(self, port: QuicPort) -> None:
        """Begin with none."""
        self._held: set[int] = set()
        self._port = port
        self.hold: Callable[[int], None] = self._held.add
        """Keep the place of a stream of the peer until `give_up`, even if it is over before."""

    def __len__(self) -> int:
        return len(self._held)

    def give_up(self, stream_id: int) -> None:
        """Give up the place of a stream, at once or as soon as it is over; without effect on one that holds none."""
        if stream_id in self._held:
            self._held.discard(stream_id)
            self._port.release_stream(stream_id)

    def on_over(self, event: StreamOver) -> None:
        """Take note that QUIC is done with a stream."""
        if event.stream_id not in self._held:
            self._port.release_stream(event.stream_id)

    def clear(self) -> None:
        """Forget everything: the connection is over."""
        self._held.clear()
