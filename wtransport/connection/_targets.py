"""The targets of a load balancer, and the strategies that choose among them."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from ..types import ConnectionState
from ._sharing import SharedTask
from .connection import WebTransportConnection

__all__ = ["Target", "TargetTable", "checked_weight", "is_over", "is_usable"]

_BEGINNING = frozenset({ConnectionState.IDLE, ConnectionState.CONNECTING})

MAX_PORT = 65535
"""Largest UDP port (RFC 768)."""


def is_usable(connection: WebTransportConnection) -> bool:
    """Tell whether sessions can be opened on a connection, now or when its handshake is over."""
    return connection.is_connected or connection.state in _BEGINNING


def is_over(connection: WebTransportConnection) -> bool:
    """Tell whether a connection has ended."""
    return connection.is_closed or connection.state is ConnectionState.FAILED


@dataclass(slots=True, eq=False)
class Target:
    """One server: what is known of it, and the connection to it.

    Attributes:
        host: name or IP address, an IPv6 address without brackets.
        port: UDP port.
        weight: share of the `weighted` strategy, at least 0.
        latency: seconds that the last connection took; None while nothing is known.
        has_failed: no connection could be made, and no health check has found the server since.
        connection: the last connection made; it may be over.
        creation: the making of the next one.
        revival: the health checks of a target that has failed.
    """

    host: str
    port: int
    weight: float = 1.0
    latency: float | None = None
    has_failed: bool = False
    connection: WebTransportConnection | None = None
    creation: SharedTask[WebTransportConnection | Exception] | None = None
    revival: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        """Return ``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def live_connection(self) -> WebTransportConnection | None:
        """Return the connection if sessions can be opened on it."""
        connection = self.connection
        return connection if connection is not None and is_usable(connection) else None

    @property
    def running_creation(self) -> SharedTask[WebTransportConnection | Exception] | None:
        """Return the making of a connection that callers can join."""
        creation = self.creation
        return creation if creation is not None and not creation.is_over else None


class TargetTable:
    """The targets in their order, without duplicates, and the choice among them."""

    def __init__(self, addresses: Iterable[tuple[str, int]]) -> None:
        """Make the table.

        Raises:
            TypeError: an address is not a pair of a string and an integer.
            ValueError: there is no address, a host is empty, or a port is not 1..65535.
        """
        checked = dict.fromkeys(_checked(address) for address in addresses)
        if not checked:
            raise ValueError("targets must not be empty")
        self._targets = {address: Target(*address) for address in checked}
        self._order = list(self._targets.values())
        self._turn = 0  # index of the target that round robin tries next
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._strategies: dict[str, Callable[[list[Target]], Target]] = {
            "round_robin": self._by_turn,
            "weighted": self._by_weight,
            "least_latency": _by_latency,
        }

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._order)

    def get(self, host: str, port: int) -> Target | None:
        """Return the target with this address."""
        return self._targets.get((_bare(host), port))

    def check_strategy(self, strategy: str) -> None:
        """Raise ValueError for a strategy that does not exist."""
        if strategy not in self._strategies:
            raise ValueError(f"strategy must be one of {', '.join(self._strategies)}, not {strategy!r}")

    def choose(self, strategy: str, *, but_not: Container[Target]) -> Target | None:
        """Return the next target among those that have not failed; None when none is left."""
        candidates = [target for target in self._order if not target.has_failed and target not in but_not]
        return self._strategies[strategy](candidates) if candidates else None

    def _by_turn(self, candidates: list[Target]) -> Target:
        order = self._order
        while order[self._turn] not in candidates:
            self._turn = (self._turn + 1) % len(order)
        chosen = order[self._turn]
        self._turn = (self._turn + 1) % len(order)
        return chosen

    def _by_weight(self, candidates: list[Target]) -> Target:
        weights = [target.weight for target in candidates]
        if not any(weights):
            return self._random.choice(candidates)  # better than to refuse when only these are left
        return self._random.choices(candidates, weights)[0]


def _by_latency(candidates: list[Target]) -> Target:
    unknown = [target for target in candidates if target.latency is None]
    if unknown:
        # One that nobody measures yet, so that callers at the same time measure several.
        return next((target for target in unknown if target.running_creation is None), unknown[0])
    return min(candidates, key=lambda target: target.latency or 0.0)


def checked_weight(weight: float) -> float:
    """Return a weight as it counts: 0 for less than 0.

    Raises:
        ValueError: not a finite number.
    """
    if not math.isfinite(weight):
        raise ValueError(f"weight must be a finite number, not {weight}")
    return max(0.0, float(weight))


def _checked(address: tuple[str, int]) -> tuple[str, int]:
    host, port = address
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError(f"a target must be a (host, port) tuple, not {address!r}")
    if not _bare(host):
        raise ValueError(f"the host of a target must not be empty: {address!r}")
    if not 1 <= port <= MAX_PORT:
        raise ValueError(f"the port of a target must be in 1..{MAX_PORT}: {address!r}")
    return _bare(host), port


def _bare(host: str) -> str:
    """Return a host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
