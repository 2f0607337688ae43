"""Monitors that look at a client, a server, a connection or a session at regular intervals."""

from __future__ import annotations

from .client import ClientMonitor
from .connection import ConnectionMonitor
from .server import ServerMonitor
from .session import SessionMonitor

__all__ = ["ClientMonitor", "ConnectionMonitor", "ServerMonitor", "SessionMonitor"]
