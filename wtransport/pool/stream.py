"""`StreamPool`: bidirectional streams of one session."""

from __future__ import annotations

from ..session import WebTransportSession
from ..stream import WebTransportStream
from ..stream._base import code_of_exception
from ..types import StreamState
from ._base import _AsyncObjectPool

__all__ = ["StreamPool"]


class StreamPool(_AsyncObjectPool[WebTransportStream]):
    """Lends bidirectional streams of one session, at most `max_size` at a time; used as ``async with``.

    For protocols that send many messages, one after the other, on a stream. One that either end has finished or aborted
    is replaced by a new one; so is one whose block in ``async with pool.get()`` raised, as it may be in the middle of a
    message.
    """

    _SURVIVES_ERRORS = False

    def __init__(self, *, session: WebTransportSession, max_size: int) -> None:
        """Create a pool; streams are opened when they are needed. The session is the caller's, who closes it.

        Raises:
            ValueError: `max_size` is less than 1.
        """
        super().__init__(max_size=max_size)
        self._session = session

    async def _make(self) -> WebTransportStream:
        return await self._session.create_bidirectional_stream()

    def _is_alive(self, obj: WebTransportStream) -> bool:
        return obj.state is StreamState.OPEN and not self._session.is_closed

    async def _dispose(self, obj: WebTransportStream, error: BaseException | None) -> None:
        # A FIN would tell the peer that half a message is all of it.
        await obj.close(error_code=None if error is None else code_of_exception(error))
