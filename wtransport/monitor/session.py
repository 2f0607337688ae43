"""`SessionMonitor`: the state and the streams of one session."""

from __future__ import annotations

from typing import Any

from ..session import WebTransportSession
from ..types import SessionState
from ._base import _BaseMonitor, as_metrics

__all__ = ["SessionMonitor"]

MANY_WAITING = 10
"""Calls that wait for stream credit, in one direction, above which an alert is raised."""

_HEALTHY = frozenset({SessionState.CONNECTING, SessionState.CONNECTED, SessionState.DRAINING})
_DIRECTIONS = {"bidi": "bidirectional", "uni": "unidirectional"}


class SessionMonitor(_BaseMonitor[WebTransportSession]):
    """Watches a session.

    Alerts: ``session_not_healthy``, and ``high_stream_contention`` when many calls wait for stream credit. In the
    snapshots, the lists of what waits have a text in place of each future.
    """

    def __init__(self, session: WebTransportSession, *, monitoring_interval: float = 15.0) -> None:
        """Create a monitor that looks every `monitoring_interval` seconds.

        Raises:
            ValueError: `monitoring_interval` is not positive.
        """
        super().__init__(session, monitoring_interval=monitoring_interval)

    def get_current_metrics(self) -> dict[str, Any] | None:
        """Return the last snapshot, see `get_metrics_history`; None before the first."""
        return self._latest()

    async def _collect(self) -> dict[str, Any]:
        metrics = as_metrics(await self._target.diagnostics())
        for name in _DIRECTIONS:
            # A snapshot is kept for long, and a live future has no place in it.
            metrics[_waiting(name)] = ["waiting"] * len(metrics[_waiting(name)])
        return metrics

    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        problems = {}
        if metrics["state"] not in _HEALTHY:
            problems["session_not_healthy"] = f"Session state is unhealthy: {metrics['state']}"
        for name, direction in _DIRECTIONS.items():
            count = len(metrics[_waiting(name)])
            if count > MANY_WAITING:
                problems["high_stream_contention"] = f"High {direction} stream contention: {count} pending"
        return problems


def _waiting(direction: str) -> str:
    return f"pending_{direction}_stream_futures"
