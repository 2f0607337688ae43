"""The client side: connecting to servers."""

from __future__ import annotations

from .client import WebTransportClient
from .diagnostics import ClientDiagnostics, ClientStats

__all__ = ["ClientDiagnostics", "ClientStats", "WebTransportClient"]
