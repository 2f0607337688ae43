"""Which connection a connection id belongs to, and which ids a connection has."""

from __future__ import annotations

from collections.abc import Iterator

from .._quic.port import QuicPort
from .protocol import AdapterProtocol


class ConnectionTable:
    """The connections of a listener from their first packet to the end of their draining period."""

    def __init__(self) -> None:
        self.routes: dict[bytes, AdapterProtocol] = {}
        """Connection id to connection; read for every datagram."""
        self._ids: dict[AdapterProtocol, set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[AdapterProtocol]:
        return iter(list(self._ids))

    def add(self, connection: AdapterProtocol, *, port: QuicPort, original_cid: bytes) -> None:
        """Enter a connection; from now on its ids follow what its port says.

        The id that the client made up stays valid to the end, or a late copy of its first packet would look like
        another connection.
        """
        self._ids[connection] = set()

        def issue(connection_id: bytes) -> None:
            self._ids[connection].add(connection_id)
            self.routes[connection_id] = connection

        def retire(connection_id: bytes) -> None:
            if connection_id in self._ids[connection]:
                self._ids[connection].remove(connection_id)
                del self.routes[connection_id]

        issue(original_cid)
        issue(port.connection_id)
        port.on_cid_issued = issue
        port.on_cid_retired = retire

    def remove(self, connection: AdapterProtocol, *, port: QuicPort) -> None:
        """Forget a connection and its ids."""
        port.on_cid_issued = port.on_cid_retired = _ignore
        for connection_id in self._ids.pop(connection, ()):
            del self.routes[connection_id]


def _ignore(_: bytes) -> None:
    """Stand in for the hooks of a connection that is over."""
