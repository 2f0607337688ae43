"""Resets of data streams that say that their session is over, while its end is not here yet (draft-16, section 6).

QUIC keeps no order between streams, so they may overtake WT_CLOSE_SESSION. A program should learn that the session was
closed, and with which code, not that somebody reset its stream.
"""

from __future__ import annotations

from .._quic.port import StreamReset
from ..constants import ErrorCodes
from .readers import StreamReader
from .stream import StreamCore

__all__ = ["PostponedResets"]

_SESSION_OVER = (ErrorCodes.WT_SESSION_GONE, ErrorCodes.H3_CONNECT_ERROR)
"""The second is what Chromium sends."""


class PostponedResets:
    """Resets that wait for the end of their session, each for a while."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        """Begin with none."""
        self.waiting: dict[int, tuple[float, StreamReset]] = {}  # by stream; until when, the earliest first

    def add(self, event: StreamReset, reader: StreamReader, until: float) -> bool:
        """Let a reset wait, if it is one that should; False when it counts at once."""
        if event.error_code not in _SESSION_OVER or not isinstance(reader, StreamCore) or not reader.session.is_open:
            return False
        self.waiting[event.stream_id] = (until, event)
        return True

    def take(self, stream_id: int) -> StreamReset | None:
        """Hand out the reset that waits for the session of a stream, if there is one."""
        entry = self.waiting.pop(stream_id, None)
        return None if entry is None else entry[1]

    def clear(self) -> None:
        """Forget everything: the connection is over."""
        self.waiting.clear()

    def next_deadline(self) -> float | None:
        """Return when a reset has waited long enough, or None."""
        for until, _ in self.waiting.values():
            return until
        return None

    def expired(self, now: float) -> list[StreamReset]:
        """Hand out the resets that waited long enough: their session goes on."""
        resets = []
        for until, event in self.waiting.values():
            if now < until:
                break
            resets.append(event)
        for event in resets:
            del self.waiting[event.stream_id]
        return resets
