"""`ConnectionMonitor`: the state and the load of one connection."""

from __future__ import annotations

from typing import Any

from ..connection import WebTransportConnection
from ..types import ConnectionState
from ._base import _BaseMonitor, as_metrics

__all__ = ["ConnectionMonitor"]

MANY_SESSIONS = 1000
"""Sessions on one connection above which an alert is raised."""

_HEALTHY = frozenset({ConnectionState.CONNECTING, ConnectionState.CONNECTED})


class ConnectionMonitor(_BaseMonitor[WebTransportConnection]):
    """Watches a connection. Alerts: ``connection_not_healthy`` and ``high_session_count``."""

    def __init__(self, connection: WebTransportConnection, *, monitoring_interval: float = 15.0) -> None:
        """Create a monitor that looks every `monitoring_interval` seconds.

        Raises:
            ValueError: `monitoring_interval` is not positive.
        """
        super().__init__(connection, monitoring_interval=monitoring_interval)

    def get_current_metrics(self) -> dict[str, Any] | None:
        """Return the last snapshot, see `get_metrics_history`; None before the first."""
        return self._latest()

    async def _collect(self) -> dict[str, Any]:
        return as_metrics(await self._target.diagnostics())

    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        problems = {}
        if metrics["state"] not in _HEALTHY:
            problems["connection_not_healthy"] = f"Connection state is unhealthy: {metrics['state']}"
        if metrics["session_count"] > MANY_SESSIONS:
            problems["high_session_count"] = f"Connection has a high session count: {metrics['session_count']}"
        return problems
