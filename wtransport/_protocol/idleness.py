"""What costs a peer nothing, brings nobody anything and still has to be dealt with (RFC 9114, section 10.5)."""

from __future__ import annotations

from collections.abc import Callable

from ..constants import ErrorCodes
from .limits import ABORTED_STREAMS_PER_SECOND, IDLE_ACTIONS_PER_SECOND, MAX_ABORTED_STREAMS, MAX_IDLE_ACTIONS
from .violations import ConnectionViolation

__all__ = ["IdleActions"]


class IdleActions:
    """Counts the idle actions of one peer, and forgets them at a steady rate: a bucket that leaks.

    Idle are frames without content or of unknown type, capsules of unknown type, priorities, repeated announcements,
    interim responses, requests that are withdrawn before they are answered, and streams that nobody can read.

    Streams that the peer resets, or stops, are counted apart, as programs do so in good faith and more often. A stream
    that is aborted at once takes none of the streams that may be open at a time, so nothing else limits them.

    Args:
        clock: returns the time, in seconds.
    """

    __slots__ = ("_aborted", "_clock", "_level", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with none."""
        self._clock = clock
        self._level = 0.0
        self._since = 0.0
        self._aborted = (0.0, 0.0)  # the level, and since when

    def stop(self) -> None:
        """Let go of the clock: nothing will be counted any more."""
        self._clock = float

    def note_abort(self) -> None:
        """Count a stream that the peer reset or stopped of its own accord, neither in answer nor with its session.

        Raises:
            ConnectionViolation: H3_EXCESSIVE_LOAD, there were too many in too short a time.
        """
        now = self._clock()
        level, since = self._aborted
        level = max(level - (now - since) * ABORTED_STREAMS_PER_SECOND, 0.0) + 1
        self._aborted = (level, now)
        if level > MAX_ABORTED_STREAMS:
            raise ConnectionViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "too many streams aborted")

    def note(self, count: int = 1) -> None:
        """Count so many.

        Raises:
            ConnectionViolation: H3_EXCESSIVE_LOAD, there were too many in too short a time.
        """
        now = self._clock()
        self._level = max(self._level - (now - self._since) * IDLE_ACTIONS_PER_SECOND, 0.0) + count
        self._since = now
        if self._level > MAX_IDLE_ACTIONS:
            raise ConnectionViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "too many frames and requests without a purpose")
