"""`WebTransportBrowser`: one session at a time, with a history to go back and forward in."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ..exceptions import ClientError
from ..session import WebTransportSession
from ..utils import get_logger
from .client import WebTransportClient

__all__ = ["WebTransportBrowser"]

MAX_HISTORY = 1000
"""URLs kept; the oldest are forgotten. More than anybody goes back, and a program that runs for years stays small."""

logger = get_logger(name=__name__)


class WebTransportBrowser:
    """Opens sessions the way a browser opens pages; used as ``async with``. The client is the caller's, who closes it.

    A session is left when the next one is open. One that cannot be opened changes nothing: the current session stays,
    and so does the history. Calls at the same time are carried out one after the other.
    """

    def __init__(self, *, client: WebTransportClient) -> None:
        """Create a browser without a history."""
        self._client = client
        self._session: WebTransportSession | None = None
        self._history: list[str] = []
        self._index = -1  # of the current URL in the history
        self._lock = asyncio.Lock()
        self._closings = 0  # calls of `close`
        self._is_entered = False

    async def __aenter__(self) -> Self:
        """Make the browser ready; nothing is opened."""
        self._is_entered = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the session, see `close`."""
        await self.close()

    @property
    def current_session(self) -> WebTransportSession | None:
        """Return the session opened last; None at first and after `close`."""
        return self._session

    async def navigate(self, *, url: str) -> WebTransportSession:
        """Open a session to a URL and leave the current one; what was forward in the history is dropped.

        The current session is returned when it is open and the URL is its own.

        Raises:
            ClientError: the browser was not entered.
            WebTransportError: the session cannot be opened, see `WebTransportClient.connect`.
        """
        self._check_entered()
        async with self._lock:
            is_current = self._index >= 0 and self._history[self._index] == url
            if is_current and self._session is not None and not self._session.is_closed:
                return self._session
            session = await self._open(url)
            if not is_current:
                del self._history[self._index + 1 :]
                self._history.append(url)
                del self._history[:-MAX_HISTORY]
            return await self._show(session, index=self._index if is_current else len(self._history) - 1)

    async def back(self) -> WebTransportSession | None:
        """Open the URL before the current one in the history; None when there is none. Errors as in `navigate`."""
        return await self._go(-1)

    async def forward(self) -> WebTransportSession | None:
        """Open the URL after the current one in the history; None when there is none. Errors as in `navigate`."""
        return await self._go(+1)

    async def refresh(self) -> WebTransportSession | None:
        """Open the current URL anew; None when there is none. Errors as in `navigate`."""
        return await self._go(0)

    async def get_history(self) -> list[str]:
        """Return the URLs of the history, oldest first, those ahead of the current one among them.

        Raises:
            ClientError: the browser was not entered.
        """
        self._check_entered()
        return list(self._history)

    async def close(self) -> None:
        """Close the session and forget the history; the client stays open. Closing twice is no error.

        A session that is being opened meanwhile is closed as well; who waits for it gets a ClientError.

        Raises:
            ClientError: the browser was not entered.
        """
        self._check_entered()
        self._closings += 1
        self._history.clear()
        self._index = -1
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _go(self, step: int) -> WebTransportSession | None:
        self._check_entered()
        async with self._lock:
            index = self._index + step
            if not 0 <= index < len(self._history):
                return None
            return await self._show(await self._open(self._history[index]), index=index)

    async def _open(self, url: str) -> WebTransportSession:
        closings = self._closings
        session = await self._client.connect(url=url)
        if closings != self._closings:
            await session.close()
            raise ClientError("the browser was closed while it connected", target_url=url)
        return session

    async def _show(self, session: WebTransportSession, *, index: int) -> WebTransportSession:
        """Make a session the current one, and leave the one before."""
        left, self._session = self._session, session
        self._index = index
        if left is not None:
            await left.close()
        return session

    def _check_entered(self) -> None:
        if not self._is_entered:
            raise ClientError("the browser is not active: use 'async with'")
