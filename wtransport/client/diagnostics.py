"""What a client counted and what it holds now: `ClientStats` and `ClientDiagnostics`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..connection import TrafficStats
from ..types import ConnectionState
from ..utils import get_timestamp

__all__ = ["ClientDiagnostics", "ClientStats"]

MIN_ATTEMPTS_TO_JUDGE = 10
"""Connection attempts before the success rate says anything; fewer would call one failure a trend."""

LOW_SUCCESS_RATE = 0.9
"""Share of attempts below which `ClientDiagnostics.issues` reports the success rate."""

SLOW_CONNECT_SECONDS = 5.0
"""Average time to a session, in seconds, from which `ClientDiagnostics.issues` reports it as slow."""


@dataclass(kw_only=True)
class ClientStats:
    """Counters of one client.

    Every call of `WebTransportClient.connect` that got past its argument checks is one attempt, and each attempt ends
    as one success or one failure (a cancelled call is a failure). Times are seconds from the call to the session.
    """

    created_at: float = field(default_factory=get_timestamp)
    connections_attempted: int = 0
    connections_successful: int = 0
    connections_failed: int = 0
    total_connect_time: float = 0.0
    min_connect_time: float = float("inf")
    max_connect_time: float = 0.0

    @property
    def avg_connect_time(self) -> float:
        """Return the mean time of the successful attempts in seconds, 0.0 when there were none."""
        if not self.connections_successful:
            return 0.0
        return self.total_connect_time / self.connections_successful

    @property
    def success_rate(self) -> float:
        """Return the successful share of all attempts, 0.0 to 1.0; 1.0 when there were none."""
        if not self.connections_attempted:
            return 1.0
        return self.connections_successful / self.connections_attempted

    def record_success(self, *, connect_time: float) -> None:
        """Count one successful attempt that took `connect_time` seconds."""
        self.connections_successful += 1
        self.total_connect_time += connect_time
        self.min_connect_time = min(self.min_connect_time, connect_time)
        self.max_connect_time = max(self.max_connect_time, connect_time)

    def to_dict(self) -> dict[str, Any]:
        """Return the counters and the figures derived from them; a minimum that does not exist yet is 0.0."""
        values = asdict(self)
        if not self.connections_successful:
            values["min_connect_time"] = 0.0
        values["avg_connect_time"] = self.avg_connect_time
        values["success_rate"] = self.success_rate
        values["uptime"] = get_timestamp() - self.created_at
        return values


@dataclass(frozen=True, kw_only=True)
class ClientDiagnostics:
    """A snapshot of a client: its counters, and how many connections it holds in each state.

    `traffic` is what went through all connections that `connect` made, those that are over included.
    """

    stats: ClientStats
    connection_states: dict[ConnectionState, int]
    traffic: TrafficStats = field(default_factory=TrafficStats)

    @property
    def issues(self) -> list[str]:
        """Return what looks wrong in the snapshot, one sentence each; empty when nothing does."""
        found: list[str] = []
        stats = self.stats
        if stats.connections_attempted > MIN_ATTEMPTS_TO_JUDGE and stats.success_rate < LOW_SUCCESS_RATE:
            found.append(f"Low connection success rate: {stats.success_rate:.0%}")
        if stats.avg_connect_time > SLOW_CONNECT_SECONDS:
            found.append(f"Slow average connection time: {stats.avg_connect_time:.2f} s")
        if failed := self.connection_states.get(ConnectionState.FAILED, 0):
            found.append(f"Connections in failed state: {failed}")
        return found
