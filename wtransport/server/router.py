"""`RequestRouter`: which handler serves a session, by the path it asked for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ..session import WebTransportSession

__all__ = ["RequestRouter", "SessionHandler"]

SessionHandler: TypeAlias = Callable[[WebTransportSession], Awaitable[None]]
"""Serves one session; leaving it closes the session."""


class RequestRouter:
    """Maps request paths to session handlers.

    Exact paths come first, then patterns in the order in which they were added, then the default handler. The query
    of the request takes no part in an exact match; a pattern is tried on the path without the query, then with it.
    """

    def __init__(self) -> None:
        """Create a router that knows no path."""
        self._routes: dict[str, SessionHandler] = {}
        self._patterns: list[tuple[re.Pattern[str], SessionHandler]] = []
        self._default_handler: SessionHandler | None = None

    def add_route(self, *, path: str, handler: SessionHandler) -> None:
        """Serve `path` with `handler`; a handler that the path had before is replaced.

        Raises:
            ValueError: `path` does not begin with ``/``, so that no request could match it.
            TypeError: `handler` is not callable.

        """
        if not path.startswith("/"):
            raise ValueError(f"path must begin with '/', not {path!r}")
        _check_handler(handler)
        self._routes[path] = handler

    def add_pattern_route(self, *, pattern: str, handler: SessionHandler) -> None:
        """Serve every path that `pattern` matches from its beginning (`re.match`) with `handler`.

        Raises:
            re.error: `pattern` is not a regular expression.
            TypeError: `handler` is not callable.

        """
        _check_handler(handler)
        self._patterns.append((re.compile(pattern), handler))

    def set_default_handler(self, *, handler: SessionHandler) -> None:
        """Serve every path that nothing else matches with `handler`.

        Raises:
            TypeError: `handler` is not callable.

        """
        _check_handler(handler)
        self._default_handler = handler

    def remove_route(self, *, path: str) -> None:
        """Forget the handler of an exact path; no effect when it has none."""
        self._routes.pop(path, None)

    def get_route_handler(self, *, path: str) -> SessionHandler | None:
        """Return the handler of an exact path, or None; patterns and the default handler are not looked at."""
        return self._routes.get(path)

    def get_all_routes(self) -> dict[str, SessionHandler]:
        """Return a copy of the exact paths and their handlers."""
        return dict(self._routes)

    def get_route_stats(self) -> dict[str, Any]:
        """Return ``exact_routes`` and ``pattern_routes`` (how many), and ``has_default_handler``."""
        return {
            "exact_routes": len(self._routes),
            "pattern_routes": len(self._patterns),
            "has_default_handler": self._default_handler is not None,
        }

    def route_request(self, *, session: WebTransportSession) -> SessionHandler | None:
        """Return the handler for the path of a session, or None when nothing serves it."""
        full_path = session.path
        path = full_path.partition("?")[0]
        if (handler := self._routes.get(path) or self._routes.get(full_path)) is not None:
            return handler
        for pattern, handler in self._patterns:
            if pattern.match(path) or pattern.match(full_path):
                return handler
        return self._default_handler


def _check_handler(handler: SessionHandler) -> None:
    if not callable(handler):
        raise TypeError(f"handler must be a coroutine function, not {type(handler).__name__}")
