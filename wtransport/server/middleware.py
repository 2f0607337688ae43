"""Middleware: checks that a session request passes before its handler runs, and the ones that come with the package.

A middleware is a coroutine function ``async def check(*, session) -> bool``, or an object that can be called so; False
or an exception rejects the request with status 403.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..session import WebTransportSession
from ..types import AuthHandlerProtocol, MiddlewareProtocol
from ..utils import get_logger

__all__ = [
    "MiddlewareManager",
    "RateLimiter",
    "create_auth_middleware",
    "create_cors_middleware",
    "create_logging_middleware",
    "create_rate_limit_middleware",
]

logger = get_logger(name=__name__)

MAX_TRACKED_CLIENTS = 10_000
"""Client addresses one rate limiter remembers (about 1 KiB each when idle); the one longest silent goes first."""


class MiddlewareManager:
    """An ordered chain of middleware."""

    def __init__(self) -> None:
        """Create an empty chain, which lets everything pass."""
        self._middleware: list[MiddlewareProtocol] = []

    def add_middleware(self, *, middleware: MiddlewareProtocol) -> None:
        """Append a middleware to the chain.

        Raises:
            TypeError: `middleware` is not callable.

        """
        if not callable(middleware):
            raise TypeError(f"middleware must be callable, not {type(middleware).__name__}")
        self._middleware.append(middleware)

    def remove_middleware(self, *, middleware: MiddlewareProtocol) -> None:
        """Take a middleware out of the chain; no effect when it is not in it."""
        if middleware in self._middleware:
            self._middleware.remove(middleware)

    def get_middleware_count(self) -> int:
        """Return the length of the chain."""
        return len(self._middleware)

    def get_all_middleware(self) -> list[MiddlewareProtocol]:
        """Return a copy of the chain, first to run first."""
        return list(self._middleware)

    async def process_request(self, *, session: WebTransportSession) -> bool:
        """Run the chain on a session request.

        Returns:
            True when every middleware returned a true value; False at the first one that did not or that raised (the
            exception is logged).

        """
        for middleware in tuple(self._middleware):
            try:
                if not await middleware(session=session):
                    return False
            except Exception:
                logger.exception("middleware %r failed on %s, request is rejected", middleware, session.path)
                return False
        return True


class RateLimiter:
    """Middleware that lets each client IP address open at most `max_requests` sessions in any `window_seconds`.

    The window slides: a request passes when fewer than `max_requests` of that address passed in the `window_seconds`
    before it. Requests that were refused do not count. Addresses with nothing in the window are forgotten every
    `cleanup_interval` seconds, and never are more than `MAX_TRACKED_CLIENTS` kept.
    """

    def __init__(
        self,
        *,
        max_requests: int = 100,
        window_seconds: float = 60,
        cleanup_interval: float = 300,
        max_tracked_clients: int = MAX_TRACKED_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a limiter; `clock` returns monotonic seconds.

        Raises:
            ValueError: an argument is not positive.

        """
        for name, value in (
            ("max_requests", max_requests),
            ("window_seconds", window_seconds),
            ("cleanup_interval", cleanup_interval),
            ("max_tracked_clients", max_tracked_clients),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")
        self._max_requests = max_requests
        self._window = window_seconds
        self._cleanup_interval = cleanup_interval
        self._max_tracked_clients = max_tracked_clients
        self._clock = clock
        self._passed: OrderedDict[str, deque[float]] = OrderedDict()
        self._next_cleanup = clock() + cleanup_interval

    async def __aenter__(self) -> Self:
        """Begin with an empty table."""
        self._passed.clear()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Forget every address."""
        self._passed.clear()

    def __len__(self) -> int:
        """Return the number of client addresses remembered now."""
        return len(self._passed)

    async def __call__(self, *, session: WebTransportSession) -> bool:
        """Return whether the client of this session may open it now; False when its address is not known."""
        address = session.connection.remote_address
        if address is None:
            logger.warning("rate limit: address of the client is not known, request is rejected")
            return False
        if self._admit(address[0]):
            return True
        logger.warning("rate limit: more than %d sessions in %s s by %s", self._max_requests, self._window, address[0])
        return False

    def _admit(self, client: str) -> bool:
        now = self._clock()
        if now >= self._next_cleanup:
            self._forget_idle(now)
        times = self._passed.get(client)
        if times is None:
            times = self._passed[client] = deque()
            if len(self._passed) > self._max_tracked_clients:
                self._passed.popitem(last=False)
        else:
            self._passed.move_to_end(client)
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) >= self._max_requests:
            return False
        times.append(now)
        return True

    def _forget_idle(self, now: float) -> None:
        self._next_cleanup = now + self._cleanup_interval
        for client in [name for name, times in self._passed.items() if times[-1] <= now - self._window]:
            del self._passed[client]


def create_rate_limit_middleware(
    *, max_requests: int = 100, window_seconds: int = 60, cleanup_interval: int = 300
) -> RateLimiter:
    """Return a middleware that limits how often one client IP address may open a session; see `RateLimiter`."""
    return RateLimiter(max_requests=max_requests, window_seconds=window_seconds, cleanup_interval=cleanup_interval)


def create_auth_middleware(*, auth_handler: AuthHandlerProtocol) -> MiddlewareProtocol:
    """Return a middleware that asks ``await auth_handler(headers=...)`` whether a request may pass.

    The headers are those of the request, with lower-case names. An exception in `auth_handler` rejects the request.
    """

    async def authenticate(*, session: WebTransportSession) -> bool:
        if await auth_handler(headers=session.headers):
            return True
        logger.warning("authentication failed for %s", session.path)
        return False

    return authenticate


def create_cors_middleware(*, allowed_origins: list[str]) -> MiddlewareProtocol:
    """Return a middleware that lets only the listed web origins pass.

    Args:
        allowed_origins: origins as browsers send them, e.g. ``https://example.org`` or ``http://localhost:8080``: the
            comparison is exact. ``*`` allows every origin. A request without an ``Origin`` header is rejected.

    Raises:
        TypeError: `allowed_origins` is one string instead of a list of them.

    """
    origins: object = allowed_origins
    if isinstance(origins, str):  # whose characters would be the origins
        raise TypeError("allowed_origins must be a list of origins, not one string")
    allowed = frozenset(allowed_origins)

    async def check_origin(*, session: WebTransportSession) -> bool:
        origin = session.headers.get("origin")
        if not origin:
            logger.warning("CORS: request for %s has no origin", session.path)
            return False
        if "*" in allowed or origin in allowed:
            return True
        logger.warning("CORS: origin %r is not allowed", origin)
        return False

    return check_origin


def create_logging_middleware() -> MiddlewareProtocol:
    """Return a middleware that logs each request with its path and the address it came from, and lets it pass."""

    async def log_request(*, session: WebTransportSession) -> bool:
        address = session.connection.remote_address
        logger.info("session request: %s from %s", session.path, "unknown" if address is None else address[0])
        return True

    return log_request
