"""The server side: listening, routing sessions to handlers, and the checks before them."""

from __future__ import annotations

from .app import ServerApp
from .cluster import ServerCluster
from .diagnostics import ServerDiagnostics, ServerStats
from .middleware import (
    MiddlewareManager,
    RateLimiter,
    create_auth_middleware,
    create_cors_middleware,
    create_logging_middleware,
    create_rate_limit_middleware,
)
from .router import RequestRouter, SessionHandler
from .server import WebTransportServer

__all__ = [
    "MiddlewareManager",
    "RateLimiter",
    "RequestRouter",
    "ServerApp",
    "ServerCluster",
    "ServerDiagnostics",
    "ServerStats",
    "SessionHandler",
    "WebTransportServer",
    "create_auth_middleware",
    "create_cors_middleware",
    "create_logging_middleware",
    "create_rate_limit_middleware",
]
