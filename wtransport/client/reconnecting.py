"""`ReconnectingClient`: keeps one session to one URL open, again and again."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ..events import EventEmitter
from ..exceptions import ClientError, WebTransportError
from ..session import WebTransportSession
from ..types import URL, EventType, SessionState
from ..utils import get_logger
from .client import WebTransportClient
from .url import parse_url

__all__ = ["ReconnectingClient"]

logger = get_logger(name=__name__)

SHORT_SESSION = 1.0
"""Seconds. A session that ended sooner is not replaced before so many seconds (or `retry_delay`, if that is less) have
passed since it began: a server that hangs up on everybody must not be asked without a pause."""

_CONNECTED = frozenset({SessionState.CONNECTED, SessionState.DRAINING})


class ReconnectingClient(EventEmitter):
    """Connects, and connects again when the session is over or cannot be opened; used as ``async with``.

    Delays and the number of attempts are those of the client's configuration, whatever its ``auto_reconnect`` says:
    after a failed attempt it waits ``retry_delay`` seconds, after each further one ``retry_backoff`` times as long, at
    most ``max_retry_delay``, and it gives up after ``max_retries`` retries in a row (negative: never). A lost session
    is replaced at once; one that was very short (`SHORT_SESSION`) after a moment.

    Emits CONNECTION_ESTABLISHED (``session``, ``attempt``: 1 for the first since the last session), CONNECTION_LOST
    (``url``) and CONNECTION_FAILED (``last_error`` and ``reason``: ``max_retries_exceeded``; ``client_closed`` when the
    client was closed by others; ``internal_error``, which the log explains). The client is the caller's, who closes it.
    """

    def __init__(self, *, url: URL, client: WebTransportClient) -> None:
        """Create it; nothing is connected before it is entered.

        Raises:
            ConfigurationError: the URL is not one that can be connected to.
        """
        super().__init__()
        parse_url(url=url)
        self._url = url
        self._client = client
        self._session: WebTransportSession | None = None
        self._is_settled = asyncio.Event()  # there is a session, or there will never be one again
        self._loop_task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        """Begin to connect, without waiting for it.

        Raises:
            ClientError: it was closed.
        """
        if self._is_closed:
            raise ClientError("the reconnecting client is closed", target_url=self._url)
        if self._loop_task is None:
            self._loop_task = asyncio.get_running_loop().create_task(self._keep_connected())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the session and stop, see `close`."""
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Tell whether there is an open session now."""
        return self._session is not None and self._session.state in _CONNECTED

    async def get_session(self, *, wait_timeout: float = 5.0) -> WebTransportSession | None:
        """Return the open session, waiting for it if need be.

        Args:
            wait_timeout: seconds.

        Returns:
            The session, or None: not in time, not entered, closed, or given up.
        """
        if self._loop_task is None:
            return None
        try:
            async with asyncio.timeout(wait_timeout):
                while not self._loop_task.done() and not self._is_closed:
                    if self.is_connected:
                        return self._session
                    self._is_settled.clear()  # its end is known here, and perhaps not yet to the task
                    await self._is_settled.wait()
        except TimeoutError:
            pass
        return None

    async def close(self) -> None:
        """Close the session and stop reconnecting; the client stays open. Closing twice is no error.

        Cancelling it does not keep the session from being closed.
        """
        self._is_closed = True
        self._is_settled.set()
        task = self._loop_task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))
        await super().close()

    async def _keep_connected(self) -> None:
        try:
            await self._connect_repeatedly()
        except Exception as error:
            logger.exception("reconnecting to %s came to an end", self._url)
            self._give_up("internal_error", error)
        finally:
            session, self._session = self._session, None
            if session is not None:
                await session.close()
            self._is_settled.set()

    async def _connect_repeatedly(self) -> None:
        config = self._client.config
        loop = asyncio.get_running_loop()
        attempt = 0
        delay = config.retry_delay
        while True:
            attempt += 1
            try:
                session = await self._connect()
            except WebTransportError as error:
                if self._client.is_closed:
                    self._give_up("client_closed", error)
                    return
                if 0 <= config.max_retries < attempt:
                    self._give_up("max_retries_exceeded", error)
                    return
                logger.warning("attempt %d to connect to %s failed: %s", attempt, self._url, error)
                await asyncio.sleep(delay)
                delay = min(delay * config.retry_backoff, config.max_retry_delay)
            else:
                began = loop.time()
                await self._until_closed(session, attempt)
                attempt = 0
                delay = config.retry_delay
                await asyncio.sleep(max(0.0, began + min(delay, SHORT_SESSION) - loop.time()))

    async def _connect(self) -> WebTransportSession:
        if self._client.config.auto_reconnect:
            # `connect` would repeat by itself, so that every attempt here were many.
            return await self._client._connect(self._url, None, {}, None, retries=0)
        return await self._client.connect(url=self._url)

    async def _until_closed(self, session: WebTransportSession, attempt: int) -> None:
        """Offer a session until it is over."""
        self._session = session
        self._is_settled.set()
        data = {"session": session, "attempt": attempt}
        self.emit_nowait(event_type=EventType.CONNECTION_ESTABLISHED, data=data, source=self)
        if not session.is_closed:
            await session.events.wait_for(event_type=EventType.SESSION_CLOSED)
        self._session = None
        logger.warning("the session to %s is over: %s", self._url, session.close_reason or "no reason given")
        self.emit_nowait(event_type=EventType.CONNECTION_LOST, data={"url": self._url}, source=self)
        self._release(event_type=EventType.CONNECTION_ESTABLISHED, key="session", handle=session)

    def _give_up(self, reason: str, error: Exception) -> None:
        logger.error("no more attempts to connect to %s (%s): %s", self._url, reason, error)
        data = {"reason": reason, "last_error": str(error)}
        self.emit_nowait(event_type=EventType.CONNECTION_FAILED, data=data, source=self)
