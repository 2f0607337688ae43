"""`ConnectionManager`: the live connections of a server, or of anything else that holds many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import EventEmitter
from ..types import ConnectionId, ConnectionState, EventType
from ._base import _BaseResourceManager

if TYPE_CHECKING:
    from ..connection import WebTransportConnection

__all__ = ["ConnectionManager"]


class ConnectionManager(_BaseResourceManager["ConnectionId", "WebTransportConnection"]):
    """Holds connections while they live, at most `max_connections` at a time."""

    _RESOURCE_NAME = "connection"
    _END_EVENTS = (EventType.CONNECTION_CLOSED, EventType.CONNECTION_LOST, EventType.CONNECTION_FAILED)

    def __init__(self, *, max_connections: int) -> None:
        """Create a manager of at most `max_connections` connections (at least 1, else ValueError)."""
        super().__init__(limit=max_connections)

    async def add_connection(self, *, connection: WebTransportConnection) -> ConnectionId:
        """Take a connection and return its id.

        Raises:
            RuntimeError: the manager was not entered, is shutting down, or is full.
            ValueError: the connection is closed already.

        """
        return self.register(resource=connection)

    async def remove_connection(self, *, connection_id: ConnectionId) -> WebTransportConnection | None:
        """Let go of a connection without closing it and return it; None when it is not held.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        return self.discard(resource_id=connection_id)

    def _id_of(self, resource: WebTransportConnection) -> ConnectionId:
        return resource.connection_id

    def _emitter_of(self, resource: WebTransportConnection) -> EventEmitter:
        return resource.events

    def _is_closed(self, resource: WebTransportConnection) -> bool:
        return resource.is_closed

    def _state_of(self, resource: WebTransportConnection) -> ConnectionState:
        return resource.state

    async def _close(self, resource: WebTransportConnection) -> None:
        await resource.close()
