"""`ClientMonitor`: how connecting goes."""

from __future__ import annotations

from typing import Any

from ..client import WebTransportClient
from ._base import _BaseMonitor, as_metrics

__all__ = ["ClientMonitor"]

MIN_ATTEMPTS_TO_JUDGE = 10
"""Connection attempts before the success rate says anything."""

LOW_SUCCESS_RATE = 0.9
"""Share of attempts below which an alert is raised."""

SLOW_CONNECT_SECONDS = 5.0
"""Average time to a session, in seconds, above which an alert is raised."""


class ClientMonitor(_BaseMonitor[WebTransportClient]):
    """Watches a client. Alerts: ``low_success_rate`` and ``slow_connections``."""

    def __init__(self, client: WebTransportClient, *, monitoring_interval: float = 30.0) -> None:
        """Create a monitor that looks every `monitoring_interval` seconds.

        Raises:
            TypeError: `client` is not a WebTransportClient.
            ValueError: `monitoring_interval` is not positive.
        """
        if not isinstance(client, WebTransportClient):
            raise TypeError(f"client must be a WebTransportClient, not {type(client).__name__}")
        super().__init__(client, monitoring_interval=monitoring_interval)

    def get_metrics_summary(self) -> dict[str, Any]:
        """Return ``latest_metrics`` (empty before the first look), ``recent_alerts`` and ``is_monitoring``."""
        return {
            "latest_metrics": self._latest() or {},
            "recent_alerts": self.get_alerts(),
            "is_monitoring": self.is_monitoring,
        }

    async def _collect(self) -> dict[str, Any]:
        diagnostics = await self._target.diagnostics()
        stats = diagnostics.stats
        metrics = as_metrics(diagnostics)
        metrics["stats"] |= {"success_rate": stats.success_rate, "avg_connect_time": stats.avg_connect_time}
        return metrics

    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        stats = metrics["stats"]
        problems = {}
        if stats["connections_attempted"] > MIN_ATTEMPTS_TO_JUDGE and stats["success_rate"] < LOW_SUCCESS_RATE:
            problems["low_success_rate"] = f"Low connection success rate: {stats['success_rate']:.2%}"
        if stats["avg_connect_time"] > SLOW_CONNECT_SECONDS:
            problems["slow_connections"] = f"Slow connections: {stats['avg_connect_time']:.2f}s average"
        return problems
