"""Where the datagrams of a server's socket come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

from .._constants import LONG_HEADER

__all__ = ["Doorway"]


class Doorway:
    """Lets a datagram in to its connection at once, where it came alone and nobody waits.

    Args:
        routes: connection id to connection (a `DriverLoop`).
        waiting: empty where nobody waits.
        outlet: what the socket's own connections send through.
        clock: returns seconds.
        id_size: bytes of a connection id.
        turn_time: seconds that a connection may work on a datagram before others have their turn.
        on_others: gets the list of any other datagrams.
        on_backlog: gets a connection that has not dealt with all that it received.
    """

    __slots__ = ("_clock", "_id", "_on_backlog", "_on_others", "_outlet", "_routes", "_turn_time", "_waiting")

    def __init__(
        self,
        *,
        routes: Mapping[bytes, Any],
        waiting: Sized,
        outlet: Any,
        clock: Callable[[], float],
        id_size: int,
        turn_time: float,
        on_others: Callable[[Sequence[tuple[bytes, Any]]], None],
        on_backlog: Callable[[Any], None],
    ) -> None:
        """Begin to let in."""
        self._routes = routes
        self._waiting = waiting
        self._outlet = outlet
        self._clock = clock
        self._id = slice(1, 1 + id_size)
        self._turn_time = turn_time
        self._on_others = on_others
        self._on_backlog = on_backlog

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, Any]]) -> None:
        """Take datagrams, in the order in which they came."""
        if len(datagrams) == 1 and not self._waiting:
            data = datagrams[0][0]
            if data and data[0] < LONG_HEADER:
                connection = self._routes.get(data[self._id])
                if connection is not None and connection.uses(self._outlet):
                    now = self._clock()
                    if connection.take(datagrams, now, now + self._turn_time):
                        self._on_backlog(connection)
                    return
        self._on_others(datagrams)
