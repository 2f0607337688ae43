"""QUIC connections that carry WebTransport sessions, as a program sees them."""

from __future__ import annotations

from .._protocol.traffic import TrafficStats
from .connection import ConnectionDiagnostics, WebTransportConnection
from .load_balancer import ConnectionLoadBalancer

__all__ = ["ConnectionDiagnostics", "ConnectionLoadBalancer", "TrafficStats", "WebTransportConnection"]

TrafficStats.__module__ = __name__  # where programs find it
