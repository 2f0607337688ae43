"""WebTransport sessions, as a program sees them."""

from __future__ import annotations

from .session import SessionDiagnostics, WebTransportSession

__all__ = ["SessionDiagnostics", "WebTransportSession"]
