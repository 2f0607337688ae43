"""The credit of one session, given and taken: who waits for it, and what follows from reading (draft-16, section 5).

The numbers are kept by `flow_control`; here they meet the streams and the capsules that tell the peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._speedups import SessionCreditBooks
from ..constants import MAX_VARINT
from . import capsules

if TYPE_CHECKING:
    from .flow_control import SessionFlow
    from .host import EngineHost
    from .session import SessionCore
    from .stream import StreamCore

__all__ = ["SessionCredit"]


class SessionCredit(SessionCreditBooks):
    """Connects the limits of a session with its streams."""

    __slots__ = ("_flow", "_host", "_session")

    _blocked: dict[StreamCore, None]
    _unsettled: dict[StreamCore, None]

    def __init__(self, session: SessionCore, host: EngineHost, flow: SessionFlow) -> None:
        """Begin without streams."""
        super().__init__(host.places, flow.receive)
        self._session: SessionCore | None = session  # until its end, as it knows its credit
        self._host = host
        self._flow = flow

    # What we may send.

    def wait_for_data(self, stream: StreamCore) -> None:
        """Remember a stream whose bytes the session's credit does not cover, and tell the peer once."""
        self._blocked[stream] = None
        if self._session is not None and self._flow.send.should_report_blocked_data():
            self._session.send_capsule(capsules.encode_data_blocked(self._flow.send.max_data))

    def flush_blocked_streams(self) -> None:
        """Let the streams that wait go on, as far as the credit goes."""
        blocked, self._blocked = self._blocked, {}
        for stream in blocked:
            stream.flush()

    def return_unsent(self, nbytes: int) -> None:
        """Take back credit for bytes that were written and will never be sent; others may use it."""
        if nbytes:
            self._flow.send.data_sent -= nbytes
            self.flush_blocked_streams()

    # What the peer may send.

    def skip(self, nbytes: int) -> None:
        """Count body bytes that the peer sent and that will never arrive.

        Raises:
            SessionViolation: the peer sent more than it may.
        """
        limit = self._flow.receive.skip(nbytes)
        if limit is not None:
            self.announce_data(limit)

    def announce_data(self, limit: int) -> None:
        """Tell the peer that it may send more in all: so much that a capsule is worth it was read."""
        if self._session is not None and self._session.is_open:
            self._session.send_capsule(capsules.encode_max_data(limit))

    def grant_data(self, max_data: int) -> None:
        """Let the peer send up to `max_data` bytes in all; without effect below the current limit.

        Raises:
            ValueError: max_data is above 2**62-1.
        """
        if max_data > MAX_VARINT:
            raise ValueError(f"max_data must be at most 2**62-1, not {max_data}")
        limit = self._flow.receive.grant_data(max_data)
        if limit is not None and self._session is not None and self._flow.receive.enabled:
            self._session.send_capsule(capsules.encode_max_data(limit))

    def grant_streams(self, max_streams: int, *, unidirectional: bool) -> None:
        """Let the peer open up to `max_streams` streams in all; without effect below the current limit."""
        limit = self._flow.receive.grant_streams(max_streams, unidirectional=unidirectional)
        if limit is not None:
            self._host.allow_streams(unidirectional=unidirectional)
            if self._session is not None and self._flow.receive.enabled:
                self._session.send_capsule(capsules.encode_max_streams(limit, unidirectional=unidirectional))

    def _announce_streams(self, limit: int, *, unidirectional: bool) -> None:
        """Tell the peer that it may open more in all: so many that a capsule is worth it are over and done with."""
        if self._session is not None and self._session.is_open:
            self._session.send_capsule(capsules.encode_max_streams(limit, unidirectional=unidirectional))

    def forget_session(self) -> None:
        """Let go of a session that never began."""
        self._session = None

    def end(self) -> None:
        """Settle everything: the session is over, and what the program has not read no longer holds credit."""
        self._blocked.clear()
        for stream in list(self._unsettled):
            self.settle(stream)
        if self._session is not None:
            self._host.port.consume(self._session.stream_id, self._flow.receive.settle())
            self._session = None
