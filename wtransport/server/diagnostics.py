"""What a server counted and what it holds now: `ServerStats` and `ServerDiagnostics`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..connection import TrafficStats
from ..types import ConnectionState, SessionState
from ..utils import get_timestamp

__all__ = ["ServerDiagnostics", "ServerStats"]

MIN_ATTEMPTS_TO_JUDGE = 20
"""Connection attempts before the success rate says anything; fewer would call one refusal a trend."""

LOW_SUCCESS_RATE = 0.9
"""Share of attempts below which `ServerDiagnostics.issues` reports the success rate."""

HIGH_USAGE = 0.9
"""Share of `max_connections` from which `ServerDiagnostics.issues` reports the usage."""


@dataclass(kw_only=True)
class ServerStats:
    """Counters of one server.

    A connection attempt is counted as accepted when its handshake is complete, and as rejected when it was refused
    because of `max_connections`. An accepted connection, or one that never got that far, that ended otherwise than by
    a close of either side is one of `connection_errors`; one that was closed for breaking a protocol rule, on either
    side, is one of `protocol_errors`. No error is a connection without a session whose peer fell silent: browsers leave
    theirs like that. `connections_closed` are the accepted ones that are over, however they ended.
    """

    start_time: float | None = None
    connections_accepted: int = 0
    connections_rejected: int = 0
    connection_errors: int = 0
    protocol_errors: int = 0
    connections_closed: int = 0

    @property
    def success_rate(self) -> float:
        """Return the accepted share of all attempts, 0.0 to 1.0; 1.0 when there were none."""
        attempted = self.total_connections_attempted
        return self.connections_accepted / attempted if attempted else 1.0

    @property
    def total_connections_attempted(self) -> int:
        """Return how many connections were accepted or rejected."""
        return self.connections_accepted + self.connections_rejected

    def to_dict(self) -> dict[str, Any]:
        """Return the counters, the figures derived from them, and ``uptime`` in seconds (0.0 before `listen`)."""
        values = asdict(self)
        values["success_rate"] = self.success_rate
        values["total_connections_attempted"] = self.total_connections_attempted
        values["uptime"] = 0.0 if self.start_time is None else get_timestamp() - self.start_time
        return values


@dataclass(frozen=True, kw_only=True)
class ServerDiagnostics:
    """A snapshot of a server: its counters, and how many connections and sessions it holds in each state.

    `traffic` is what went through all its connections since `listen`, those that are over included.
    """

    stats: ServerStats
    connection_states: dict[ConnectionState, int]
    session_states: dict[SessionState, int]
    is_serving: bool
    certfile_path: str
    keyfile_path: str
    max_connections: int
    listener: dict[str, int] = field(default_factory=dict)
    """What happened to packets of no connection, by name of the counter; see the documentation's page on limits."""
    unfinished_handshakes: int = 0
    """Connections that are not ready for sessions yet."""
    traffic: TrafficStats = field(default_factory=TrafficStats)

    @property
    def issues(self) -> list[str]:
        """Return what looks wrong in the snapshot, one sentence each; empty when nothing does.

        Looks whether the certificate and key files still exist, so it touches the disk.
        """
        found: list[str] = []
        stats = self.stats
        if not self.is_serving:
            found.append("Server is not currently serving")
        if stats.total_connections_attempted > MIN_ATTEMPTS_TO_JUDGE and stats.success_rate < LOW_SUCCESS_RATE:
            found.append(f"Low connection success rate: {stats.success_rate:.0%}")
        held = sum(self.connection_states.values())
        if self.max_connections > 0 and held / self.max_connections >= HIGH_USAGE:
            found.append(f"High connection usage: {held} of {self.max_connections}")
        for name, path in (("Certificate", self.certfile_path), ("Key", self.keyfile_path)):
            if not path:
                found.append(f"{name} file is not configured")
            elif not Path(path).is_file():
                found.append(f"{name} file not found: {path}")
        return found
