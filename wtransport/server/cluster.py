"""`ServerCluster`: several servers in one process, started and stopped together."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from ..config import ServerConfig
from ..connection._closing import close_each
from ..exceptions import ServerError
from ..types import ConnectionState, SessionState
from ..utils import get_logger
from .server import WebTransportServer

__all__ = ["ServerCluster"]

logger = get_logger(name=__name__)


class ServerCluster:
    """Runs one server per configuration; used as ``async with``, which starts and stops them.

    Starting, stopping, adding and removing are carried out one after the other.
    """

    def __init__(self, *, configs: list[ServerConfig]) -> None:
        """Create a cluster that does not run yet; `add_server` can add more configurations."""
        self._configs = list(configs)
        self._servers: list[tuple[ServerConfig, WebTransportServer]] = []
        self._lock = asyncio.Lock()
        self._is_entered = False
        self._is_running = False

    async def __aenter__(self) -> Self:
        """Start all servers, see `start_all`."""
        self._is_entered = True
        await self.start_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Stop all servers, see `stop_all`."""
        await self.stop_all()

    @property
    def is_running(self) -> bool:
        """Tell whether the cluster was started and not stopped."""
        return self._is_running

    async def start_all(self) -> None:
        """Start a server for every configuration, all at a time; does nothing when the cluster runs.

        When one of them cannot be started, or the call is cancelled, those that were are stopped again.

        Raises:
            ServerError: the cluster was not entered, or a server cannot listen (the first, if several).
            CertificateError: the certificate of one cannot be read.
        """
        self._check_entered()
        async with self._lock:
            if self._is_running:
                return
            servers = [(config, WebTransportServer(config=config)) for config in self._configs]
            await _listen_all([server for _, server in servers])
            self._servers = servers
            self._is_running = True

    async def stop_all(self) -> None:
        """Close all servers, all at a time; their configurations stay for the next start. Errors are logged.

        Raises:
            ServerError: the cluster was not entered.
        """
        self._check_entered()
        async with self._lock:
            servers, self._servers = self._servers, []
            self._is_running = False
            await close_each([server.close() for _, server in servers])

    async def add_server(self, *, config: ServerConfig) -> WebTransportServer | None:
        """Start another server, or keep its configuration for the next start when the cluster does not run.

        Returns:
            The server; None when the cluster does not run, or the server cannot be started, which is logged.

        Raises:
            ServerError: the cluster was not entered.
        """
        self._check_entered()
        async with self._lock:
            if not self._is_running:
                self._configs.append(config)
                return None
            try:
                server = WebTransportServer(config=config)
                await _listen_all([server])
            except Exception:
                logger.exception("server at %s:%s was not added to the cluster", config.bind_host, config.bind_port)
                return None
            self._configs.append(config)
            self._servers.append((config, server))
            return server

    async def remove_server(self, *, host: str, port: int) -> bool:
        """Close a server, and forget its configuration.

        Args:
            host: an address that the server is bound to, or the host of its configuration.
            port: the port that it is bound to; while the cluster does not run, that of its configuration.

        Returns:
            Whether there is such a server.

        Raises:
            ServerError: the cluster was not entered.
        """
        self._check_entered()
        async with self._lock:
            for entry in self._servers:
                config, server = entry
                address = server.local_address
                if address is not None and port == address[1] and host in (address[0], config.bind_host):
                    self._servers.remove(entry)
                    self._forget(config)
                    await close_each([server.close()])
                    return True
            if not self._is_running:
                for config in self._configs:
                    if (config.bind_host, config.bind_port) == (host, port):
                        self._forget(config)
                        return True
        return False

    async def get_cluster_stats(self) -> dict[str, Any]:
        """Return figures of the whole.

        Returns:
            ``server_count``, ``total_connections_accepted``, ``total_connections_rejected``,
            ``total_connections_active``, ``total_sessions_active``.

        Raises:
            ServerError: the cluster was not entered.
        """
        servers = await self.get_servers()
        snapshots = [await server.diagnostics() for server in servers]
        return {
            "server_count": len(servers),
            "total_connections_accepted": sum(each.stats.connections_accepted for each in snapshots),
            "total_connections_rejected": sum(each.stats.connections_rejected for each in snapshots),
            "total_connections_active": sum(
                each.connection_states.get(ConnectionState.CONNECTED, 0) for each in snapshots
            ),
            "total_sessions_active": sum(each.session_states.get(SessionState.CONNECTED, 0) for each in snapshots),
        }

    async def get_server_count(self) -> int:
        """Return the number of servers that run.

        Raises:
            ServerError: the cluster was not entered.
        """
        return len(await self.get_servers())

    async def get_servers(self) -> list[WebTransportServer]:
        """Return the servers that run.

        Raises:
            ServerError: the cluster was not entered.
        """
        self._check_entered()
        return [server for _, server in self._servers if server.is_serving]

    def _forget(self, config: ServerConfig) -> None:
        for index, each in enumerate(self._configs):
            if each is config:  # one that is merely equal can be another server's
                del self._configs[index]
                return

    def _check_entered(self) -> None:
        if not self._is_entered:
            raise ServerError("the cluster is not active: use 'async with'")


async def _listen_all(servers: list[WebTransportServer]) -> None:
    """Let all servers listen; when one cannot, or the call is cancelled, all are closed."""
    try:
        results = await asyncio.gather(*(server.listen() for server in servers), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
    except BaseException:
        await close_each([server.close() for server in servers])
        raise
