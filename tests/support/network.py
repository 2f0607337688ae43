"""One simulated network for all tests: what happens to packets between two ends, repeatable from a seed.

A `Link` is one direction. It knows no clock and no socket: it is told the time and says when which bytes arrive. A
`Network` is two of them with what is under way, for ends in virtual time; `udp_proxy` puts the same two between real
sockets.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

__all__ = ["BAD", "CLIENT_ADDRESS", "SERVER_ADDRESS", "TICK", "Conditions", "Link", "Network", "everything"]

CLIENT_ADDRESS = ("192.0.2.1", 50000)
SERVER_ADDRESS = ("192.0.2.2", 443)

TICK = 1e-6
"""Seconds past a deadline at which it is served: a clock set to it exactly may never get beyond it."""

MAX_UNDER_WAY = 100_000
"""Packets under way at a time; more means that somebody sends without end."""


@dataclass(frozen=True)
class Conditions:
    """How bad a link is. The first four are probabilities, for each packet on its own."""

    loss: float = 0.0
    duplication: float = 0.0
    """The copy has a fate of its own from there on: it may be corrupted, or come late."""
    reordering: float = 0.0
    """A packet is held back by `reordering_delay`, so that later ones overtake it."""
    corruption: float = 0.0
    """One bit is flipped, anywhere."""
    truncation: float = 0.0
    """The end of the packet is missing; at least one byte is left."""
    delay: float = 0.0
    """Seconds from end to end."""
    jitter: float = 0.0
    """Up to so many seconds more for each packet, which reorders as well."""
    reordering_delay: float = 0.01
    bandwidth: float = 0.0
    """Bytes in a second; 0: no limit."""
    queue: int = 64 * 1024
    """Bytes that wait for a link with a limit; a packet that finds no room is lost."""
    mtu: int = 0
    """Bytes of the largest UDP payload that gets through; larger ones vanish. 0: no limit."""


BAD: dict[str, float] = {"loss": 0.05, "reordering": 0.05, "duplication": 0.01, "corruption": 0.01, "delay": 0.025}
"""A bad network, with 50 ms of round trip."""


def everything(data: bytes) -> bool:
    """Say of every packet that it is lost."""
    return True


class Link:
    """One direction of a network."""

    def __init__(self, random: Random, **conditions: float) -> None:
        self.conditions = Conditions(**conditions)  # type: ignore[arg-type] # which are ints is of no interest here
        self.loses: Callable[[bytes], bool] | None = None
        """Asked about each packet before chance is; for what a test wants lost."""

        self.packets = 0
        self.bytes = 0
        self.lost = 0
        self.changed = 0
        """Packets that arrived with a bit flipped, or without their end."""
        self.overflowed = 0
        """Packets that found the queue full."""
        self.too_large = 0
        self._random = random
        self._free_at = 0.0

    def carry(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """Return when which bytes arrive of a packet that is sent now: nothing, one or two things."""
        conditions, chance = self.conditions, self._random.random
        self.packets += 1
        self.bytes += len(data)
        if (self.loses is not None and self.loses(data)) or (conditions.loss and chance() < conditions.loss):
            self.lost += 1
            return []
        if conditions.mtu and len(data) > conditions.mtu:
            self.too_large += 1
            return []
        if conditions.bandwidth:
            free_at = max(self._free_at, now)
            if (free_at - now) * conditions.bandwidth + len(data) > conditions.queue:
                self.overflowed += 1
                return []
            self._free_at = now = free_at + len(data) / conditions.bandwidth
        copies = 2 if conditions.duplication and chance() < conditions.duplication else 1
        return [(now + self._delay(), self._altered(data)) for _ in range(copies)]

    def _delay(self) -> float:
        conditions, chance = self.conditions, self._random.random
        delay = conditions.delay
        if conditions.jitter:
            delay += chance() * conditions.jitter
        if conditions.reordering and chance() < conditions.reordering:
            delay += conditions.reordering_delay
        return delay

    def _altered(self, data: bytes) -> bytes:
        conditions, random = self.conditions, self._random
        if conditions.corruption and data and random.random() < conditions.corruption:
            self.changed += 1
            bit = random.randrange(8 * len(data))
            altered = bytearray(data)
            altered[bit >> 3] ^= 1 << (bit & 7)
            data = bytes(altered)
        if conditions.truncation and len(data) > 1 and random.random() < conditions.truncation:
            self.changed += 1
            data = data[: random.randrange(1, len(data))]
        return data


class Network:
    """A client, a server and a link each way, in virtual time; the client may stand behind an address translator."""

    def __init__(self, *, seed: int = 0, **conditions: float) -> None:
        """Both links have the same conditions until they are changed."""
        self.to_server = Link(Random(f"{seed} to the server"), **conditions)
        self.to_client = Link(Random(f"{seed} to the client"), **conditions)
        self.client_address: Any = CLIENT_ADDRESS
        """Where the client's packets seem to come from; packets to any other address but the server's reach nobody."""
        self._under_way: list[tuple[float, int, Any, Any, bytes]] = []  # a heap: when, in which order, from, to, what
        self._count = 0

    def change(self, **conditions: float) -> None:
        """Change conditions of both links; those not named stay."""
        for link in (self.to_server, self.to_client):
            link.conditions = replace(link.conditions, **conditions)  # type: ignore[arg-type]

    def cut(self) -> None:
        """Lose everything that is sent from now on."""
        self.to_server.loses = self.to_client.loses = everything

    def mend(self) -> None:
        """Lose nothing more on purpose."""
        self.to_server.loses = self.to_client.loses = None

    def send(self, side: str, data: bytes, addr: Any, now: float) -> None:
        """Take a packet of "client" or "server", for an address."""
        if side == "client":
            link, source = self.to_server, self.client_address
        else:
            link, source = self.to_client, SERVER_ADDRESS
        for at, arriving in link.carry(data, now):
            self._put(at, source, addr, arriving)

    def inject(self, data: bytes, source: Any, now: float) -> None:
        """Let a packet arrive at the server at once that seems to come from any address."""
        self._put(now, source, SERVER_ADDRESS, data)

    def _put(self, at: float, source: Any, destination: Any, data: bytes) -> None:
        if len(self._under_way) >= MAX_UNDER_WAY:
            raise AssertionError(f"more than {MAX_UNDER_WAY} packets under way")
        self._count += 1
        heapq.heappush(self._under_way, (at, self._count, source, destination, data))

    @property
    def next_arrival(self) -> float | None:
        """Return when the next packet arrives, None when none is under way."""
        return self._under_way[0][0] if self._under_way else None

    def arrivals(self, now: float) -> Iterator[tuple[str, bytes, Any]]:
        """Take what has arrived by now: at which side, what, and from which address."""
        under_way = self._under_way
        while under_way and under_way[0][0] <= now:
            _, _, source, destination, data = heapq.heappop(under_way)
            if destination == SERVER_ADDRESS:
                yield "server", data, source
            elif destination == self.client_address:
                yield "client", data, source
