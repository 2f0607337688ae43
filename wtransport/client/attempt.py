"""One attempt to open a session: the way from a URL to a session, and what is left behind when it fails: nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..config import ClientConfig
from ..connection import WebTransportConnection
from ..exceptions import TimeoutError, WebTransportError
from ..session import WebTransportSession
from ..types import URL, Headers

__all__ = ["ConnectAttempt"]


@dataclass(slots=True, kw_only=True, eq=False)
class ConnectAttempt:
    """One connection of its own and one session on it.

    `stage` names what the attempt waits for, in the words of the error message of a time-out.
    """

    config: ClientConfig
    url: URL
    host: str
    port: int
    path: str
    headers: Headers
    stage: str = "the UDP socket"
    connection: WebTransportConnection | None = None
    is_abandoned: bool = False

    async def run(self, *, time_limit: float) -> WebTransportSession:
        """Open the session within `time_limit` seconds.

        Raises:
            TimeoutError: it took too long; says at which stage.
            ConnectionError: the server cannot be reached, refused the connection, or its certificate is not valid.
            CertificateError: the client's own certificate, or its CA file, cannot be read.
            ClientError: the server rejected the session.

        """
        try:
            async with asyncio.timeout(time_limit) as scope:
                return await self._open()
        except BaseException as error:
            await self.abandon()
            if scope.expired() and not isinstance(error, WebTransportError):
                raise TimeoutError(
                    f"connecting to {self.host}:{self.port} timed out after {time_limit:g} s, waiting for {self.stage}",
                    timeout_duration=time_limit,
                    operation=self.stage,
                ) from error
            raise

    async def abandon(self) -> None:
        """Give the attempt up: close what it has opened."""
        self.is_abandoned = True
        if self.connection is not None:
            await self.connection.close(reason="connection attempt was given up")
