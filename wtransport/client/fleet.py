"""`ClientFleet`: several clients that are used in turn, or all together."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from ..connection._closing import close_each
from ..exceptions import ClientError, ConfigurationError, WebTransportError
from ..session import WebTransportSession
from ..utils import get_logger
from .client import WebTransportClient
from .url import parse_url

__all__ = ["ClientFleet"]

logger = get_logger(name=__name__)


class ClientFleet:
    """Spreads work over several clients; used as ``async with``, which closes them at the end."""

    def __init__(self, *, clients: list[WebTransportClient]) -> None:
        """Create a fleet of these clients, which belong to it from now on.

        Raises:
            ValueError: there are none.
        """
        if not clients:
            raise ValueError("clients must not be empty")
        self._clients = list(clients)
        self._turn = 0
        self._is_entered = False

    async def __aenter__(self) -> Self:
        """Enter the clients; when one of them fails, those entered before are left again."""
        if not self._is_entered:
            async with contextlib.AsyncExitStack() as entered:
                for client in self._clients:
                    await entered.enter_async_context(client)
                entered.pop_all()  # they stay open
            self._is_entered = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close all clients, see `close_all`."""
        await self.close_all()

    async def connect_all(self, *, url: str) -> list[WebTransportSession]:
        """Open a session to one URL with every client, all at a time.

        Returns:
            The sessions, in the order of the clients; those that could not be opened are missing, and logged.

        Raises:
            ClientError: the fleet was not entered, or the URL is not usable (the cause is a ConfigurationError).
        """
        self._check_entered()
        try:
            parse_url(url=url)
        except ConfigurationError as error:
            raise ClientError(f"cannot connect: {error.message}", target_url=url) from error
        sessions: dict[int, WebTransportSession] = {}

        async def connect(index: int, client: WebTransportClient) -> None:
            try:
                sessions[index] = await client.connect(url=url)
            except WebTransportError as error:
                logger.warning("client %d of the fleet did not connect to %s: %s", index, url, error)

        try:
            async with asyncio.TaskGroup() as group:
                for index, client in enumerate(self._clients):
                    group.create_task(connect(index, client))
        except BaseException:
            await close_each([session.close() for session in sessions.values()])
            raise
        return [session for _, session in sorted(sessions.items())]

    async def get_client(self) -> WebTransportClient:
        """Return the next client in turn, beginning with the first; closed ones are passed over.

        Raises:
            ClientError: the fleet was not entered, or no client is left.
        """
        self._check_entered()
        for _ in self._clients:
            client = self._clients[self._turn]
            self._turn = (self._turn + 1) % len(self._clients)
            if not client.is_closed:
                return client
        raise ClientError("no client of the fleet is open")

    def get_client_count(self) -> int:
        """Return the number of clients; 0 after `close_all`."""
        return len(self._clients)

    async def close_all(self) -> None:
        """Close all clients and let go of them; errors are logged. Closing twice is no error.

        Raises:
            ClientError: the fleet was not entered.
        """
        self._check_entered()
        clients, self._clients, self._turn = self._clients, [], 0
        await close_each([client.close() for client in clients])

    def _check_entered(self) -> None:
        if not self._is_entered:
            raise ClientError("the fleet is not active: use 'async with'")
