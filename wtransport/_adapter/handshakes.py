"""Handshakes that are not finished, and who began how many: what keeps strangers from using up a server.

Nothing here sends or closes. A source is an IPv4 address or an IPv6 network of 64 bits, the least that one customer
gets. Clients whose address was validated are counted apart from those that only claim theirs: whoever forges an address
must not lock out its owner.
"""

from __future__ import annotations

import enum
import socket
from dataclasses import dataclass
from typing import Generic, TypeVar

from .rate_limit import RateLimit

ATTEMPT_PERIOD = 10.0
"""Seconds that `HandshakeLimits.attempts_per_address` is for."""

MAX_SOURCES = 10_000
"""Sources that are remembered; beyond, the one is forgotten that was quiet for longest and has no handshake open."""

_IPV6_PREFIX = 8
"""Bytes of the part of an IPv6 address that names a network (RFC 4291, 2.5.4)."""

ConnectionT = TypeVar("ConnectionT")


class Crowding(enum.Enum):
    """Which limit a further handshake would break."""

    ALL = "max_unfinished_handshakes"
    ADDRESS = "max_handshakes_per_address"
    ATTEMPTS = "max_connection_attempts_per_address"


@dataclass(frozen=True, slots=True)
class HandshakeLimits:
    """How many handshakes may go on at a time; the meaning of each is that of the setting in `ServerConfig`."""

    unfinished: int = 1000
    per_address: int = 100
    attempts_per_address: int = 2000
    timeout: float = 10.0


class _Source:
    __slots__ = ("attempts", "unfinished")

    def __init__(self, attempts: int) -> None:
        self.unfinished = 0
        self.attempts = RateLimit(attempts, ATTEMPT_PERIOD)


SourceKey = tuple[str | bytes, bool]


@dataclass(frozen=True, slots=True)
class _Handshake:
    began: float
    key: SourceKey


class Handshakes(Generic[ConnectionT]):
    """The connections of a listener whose handshake goes on, in the order in which they began."""

    def __init__(self, limits: HandshakeLimits) -> None:
        """Begin with none."""
        self._limits = limits
        self._unfinished: dict[ConnectionT, _Handshake] = {}
        self._sources: dict[SourceKey, _Source] = {}

    def __len__(self) -> int:
        return len(self._unfinished)

    @property
    def sources(self) -> int:
        """Return how many sources are remembered."""
        return len(self._sources)

    def crowding(self, host: str, now: float, *, is_validated: bool) -> Crowding | None:
        """Return the limit that one more handshake of a host breaks, or None."""
        source = self._sources.get(_key(host, is_validated=is_validated))
        if source is not None:
            if source.unfinished >= self._limits.per_address:
                return Crowding.ADDRESS
            if not source.attempts.has(now):
                return Crowding.ATTEMPTS
        return Crowding.ALL if len(self._unfinished) >= self._limits.unfinished else None

    def begin(self, connection: ConnectionT, host: str, now: float, *, is_validated: bool) -> None:
        """Count the handshake of a new connection."""
        key = _key(host, is_validated=is_validated)
        source = self._sources.pop(key, None)
        if source is None:
            self._make_room()
            source = _Source(self._limits.attempts_per_address)
        self._sources[key] = source  # the last one of all now
        source.unfinished += 1
        source.attempts.take(now)
        self._unfinished[connection] = _Handshake(now, key)

    def end(self, connection: ConnectionT) -> None:
        """Count a connection no longer: it is ready, or over."""
        handshake = self._unfinished.pop(connection, None)
        if handshake is not None:
            self._sources[handshake.key].unfinished -= 1

    def next_timeout(self) -> float | None:
        """Return when `expired` has something to return, or None."""
        for handshake in self._unfinished.values():
            return handshake.began + self._limits.timeout
        return None

    def expired(self, now: float) -> list[ConnectionT]:
        """Return the connections that take too long; each stays until `end`."""
        late = []
        for connection, handshake in self._unfinished.items():
            if handshake.began + self._limits.timeout > now:
                break
            late.append(connection)
        return late

    def _make_room(self) -> None:
        if len(self._sources) < MAX_SOURCES:
            return
        for key, source in self._sources.items():
            if not source.unfinished:
                del self._sources[key]
                return


def _key(host: str, *, is_validated: bool) -> SourceKey:
    return (socket.inet_pton(socket.AF_INET6, host)[:_IPV6_PREFIX] if ":" in host else host), is_validated
