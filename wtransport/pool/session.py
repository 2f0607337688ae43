"""`SessionPool`: sessions of one client to one URL."""

from __future__ import annotations

from ..client import WebTransportClient
from ..session import WebTransportSession
from ..types import URL, SessionState
from ._base import _AsyncObjectPool

__all__ = ["SessionPool"]


class SessionPool(_AsyncObjectPool[WebTransportSession]):
    """Lends sessions to one URL, at most `max_size` at a time; used as ``async with``.

    A session that has ended, or that the server wants to wind down, is replaced by a new one.
    """

    _SURVIVES_ERRORS = True

    def __init__(self, *, client: WebTransportClient, url: URL, max_size: int) -> None:
        """Create a pool; sessions are opened when they are needed. The client is the caller's, who closes it.

        Raises:
            ValueError: `max_size` is less than 1.
        """
        super().__init__(max_size=max_size)
        self._client = client
        self._url = url

    async def _make(self) -> WebTransportSession:
        return await self._client.connect(url=self._url)

    def _is_alive(self, obj: WebTransportSession) -> bool:
        return obj.state is SessionState.CONNECTED

    async def _dispose(self, obj: WebTransportSession, error: BaseException | None) -> None:
        await obj.close()
