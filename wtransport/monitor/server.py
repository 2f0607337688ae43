"""`ServerMonitor`: whether a server is well."""

from __future__ import annotations

from typing import Any

from ..server import WebTransportServer
from ..types import ConnectionState
from ._base import _BaseMonitor, as_metrics

__all__ = ["ServerMonitor"]

MIN_ATTEMPTS_TO_JUDGE = 10
"""Connection attempts before the success rate says anything."""

LOW_SUCCESS_RATE = 0.9
"""Share of attempts below which a server counts as degraded."""

_ALARMING = frozenset({"unhealthy", "degraded"})


class ServerMonitor(_BaseMonitor[WebTransportServer]):
    """Watches a server. Alerts say when its health status becomes ``unhealthy`` or ``degraded``.

    Each alert has ``status`` and ``reason``, which stand in ``type`` and ``message`` as well.
    """

    def __init__(self, server: WebTransportServer, *, monitoring_interval: float = 30.0) -> None:
        """Create a monitor that looks every `monitoring_interval` seconds.

        Raises:
            TypeError: `server` is not a WebTransportServer.
            ValueError: `monitoring_interval` is not positive.
        """
        if not isinstance(server, WebTransportServer):
            raise TypeError(f"server must be a WebTransportServer, not {type(server).__name__}")
        super().__init__(server, monitoring_interval=monitoring_interval)

    def get_current_metrics(self) -> dict[str, Any] | None:
        """Return the last snapshot, see `get_metrics_history`; None before the first."""
        return self._latest()

    def get_health_status(self) -> dict[str, Any]:
        """Return how the server is, from the last snapshot and from whether it serves now.

        Returns:
            ``status`` and ``reason``. The status is ``unknown`` before the first snapshot, ``unhealthy`` when the
            server does not serve, ``degraded`` when too many connections are refused, ``healthy`` when it has
            connections and ``idle`` when it has none.
        """
        metrics = self._latest()
        return {"status": "unknown", "reason": "No metrics collected yet."} if metrics is None else self._judge(metrics)

    async def _collect(self) -> dict[str, Any]:
        diagnostics = await self._target.diagnostics()
        metrics = as_metrics(diagnostics)
        metrics["stats"]["success_rate"] = diagnostics.stats.success_rate
        return metrics

    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        health = self._judge(metrics)
        return {health["status"]: health["reason"]} if health["status"] in _ALARMING else {}

    def _make_alert(self, kind: str, message: str) -> dict[str, Any]:
        return super()._make_alert(kind, message) | {"status": kind, "reason": message}

    def _judge(self, metrics: dict[str, Any]) -> dict[str, Any]:
        stats = metrics["stats"]
        attempts = stats["connections_accepted"] + stats["connections_rejected"]
        if not self._target.is_serving:
            status, reason = "unhealthy", "Server is not serving."
        elif attempts > MIN_ATTEMPTS_TO_JUDGE and stats["success_rate"] < LOW_SUCCESS_RATE:
            status, reason = "degraded", f"Low connection success rate: {stats['success_rate']:.2%}"
        elif metrics["connection_states"].get(ConnectionState.CONNECTED, 0) > 0:
            status, reason = "healthy", "Server is operating normally."
        else:
            status, reason = "idle", "Server is running but has no active connections."
        return {"status": status, "reason": reason}
