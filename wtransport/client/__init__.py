"""The client side: connecting to servers."""

from __future__ import annotations

from .browser import WebTransportBrowser
from .client import WebTransportClient
from .diagnostics import ClientDiagnostics, ClientStats
from .fleet import ClientFleet
from .reconnecting import ReconnectingClient

__all__ = [
    "ClientDiagnostics",
    "ClientFleet",
    "ClientStats",
    "ReconnectingClient",
    "WebTransportBrowser",
    "WebTransportClient",
]
