"""What the driver needs of the parts it drives, as structural types."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._quic.port import NetworkAddress


class DrivenDeadlines(Protocol):
    """The driver's view of `wtransport._protocol.deadlines.Deadlines`."""

    next: Callable[[], float | None]
    """Returns when the engine must be called, or None; may be another one each time."""


class DrivenEngine(Protocol):
    """The driver's view of `wtransport._protocol.Engine`.

    After any input, events are pulled until there are none, then datagrams, then the deadline.
    """

    events: deque[Any]
    """Events that are there without a further `step`, the next one first; whoever takes them removes them."""

    has_work: Callable[[], bool]
    """Tells whether `step` may have something to do."""

    datagrams_to_send: Callable[[float], list[tuple[bytes, NetworkAddress]]]
    """Given the time returns the UDP payloads to send now, with their destinations; may be another one each time."""

    send_now: Callable[[], None]
    """Set by the driver: sends what there is to send before the engine goes on."""

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, NetworkAddress]], now: float) -> None:
        """Take UDP payloads with their senders' addresses, in the order in which they came."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due at `now`."""

    @property
    def deadlines(self) -> DrivenDeadlines:
        """Return who knows when `handle_timeout` must be called."""

    def clear(self) -> None:
        """Let go of what refers back to the engine: nothing more will be asked of it but what it knows."""

    def step(self) -> bool:
        """Do a little of what the received packets ask for, which may give events; False when nothing is left of it."""

    def next_event(self) -> Any:
        """Return the next event, with as many steps as that takes; None when there is none."""

    @property
    def is_ready(self) -> bool:
        """Tell whether both ends can begin sessions."""

    @property
    def is_closed(self) -> bool:
        """Tell whether the connection is closed, by whichever end."""


class ConnectionOwner(Protocol):
    """Who keeps the books of a server's connections: the listener."""

    def connection_ready(self, connection: Any) -> None:
        """The handshake is over and the peer speaks WebTransport."""

    def connection_closed(self, connection: Any) -> None:
        """The connection is closed, and what that takes has been sent."""

    def connection_finished(self, connection: Any) -> None:
        """The closing or draining period is over: nothing of the connection is left."""
