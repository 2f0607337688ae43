"""Which connection a connection id belongs to, and which ids a connection has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from .._quic.port import QuicPort
from .protocol import AdapterProtocol


class ConnectionTable:
    """The connections of a listener from their first packet to the end of their draining period."""

    def __init__(self) -> None:
        self.routes: dict[bytes, AdapterProtocol] = {}
        """Connection id to connection; read for every datagram."""
        self._ids: dict[AdapterProtocol, list[bytes]] = {}  # lists, as a set of six takes 700 bytes

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[AdapterProtocol]:
        return iter(list(self._ids))

    def add(self, connection: AdapterProtocol, *, port: QuicPort, client_cids: Iterable[bytes]) -> None:
        """Enter a connection; from now on its ids follow what its port says.

        The ids that the client sent its first packets to stay valid to the end, or late copies of those would look like
        another connection. One that means another connection by now is left to that: a client can make up any.
        """
        self._ids[connection] = []
        for connection_id in client_cids:
            if connection_id not in self.routes:
                self._issue(connection, connection_id)
        self._issue(connection, port.connection_id)
        port.on_cid_issued = partial(self._issue, connection)
        port.on_cid_retired = partial(self._retire, connection)

    def remove(self, connection: AdapterProtocol, *, port: QuicPort) -> None:
        """Forget a connection and its ids."""
        port.on_cid_issued = port.on_cid_retired = _ignore
        for connection_id in self._ids.pop(connection, ()):
            del self.routes[connection_id]

    def _issue(self, connection: AdapterProtocol, connection_id: bytes) -> None:
        ids = self._ids[connection]
        if connection_id not in ids:
            ids.append(connection_id)
        self.routes[connection_id] = connection

    def _retire(self, connection: AdapterProtocol, connection_id: bytes) -> None:
        ids = self._ids[connection]
        if connection_id in ids:
            ids.remove(connection_id)
            del self.routes[connection_id]


def _ignore(_: bytes) -> None:
    """Stand in for the hooks of a connection that is over."""
