"""QUIC connections that carry WebTransport sessions, as a program sees them."""

from __future__ import annotations

from .connection import ConnectionDiagnostics, WebTransportConnection
from .load_balancer import ConnectionLoadBalancer

__all__ = ["ConnectionDiagnostics", "ConnectionLoadBalancer", "WebTransportConnection"]
