"""How often something may happen: a token bucket, and warnings that do not flood the log."""

from __future__ import annotations

import logging

WARNING_INTERVAL = 60.0
"""Seconds between two warnings about one limit; an attack reaches it thousands of times a second."""


class RateLimit:
    """A token bucket: so many at once, and as many again in every `period`."""

    __slots__ = ("_available", "_capacity", "_per_second", "_since")

    def __init__(self, capacity: int, period: float) -> None:
        """Begin full.

        Args:
            capacity: how many may happen at once.
            period: seconds in which an empty bucket fills up.
        """
        self._capacity = self._available = float(capacity)
        self._per_second = capacity / period
        self._since: float | None = None

    def has(self, now: float) -> bool:
        """Tell whether one may happen now."""
        if self._since is not None:
            self._available = min(self._capacity, self._available + (now - self._since) * self._per_second)
        self._since = now
        return self._available >= 1.0

    def take(self, now: float) -> bool:
        """Let one happen if it may; tell whether."""
        if not self.has(now):
            return False
        self._available -= 1.0
        return True


class LimitLog:
    """Warns when limits are reached: at once, then about each no more than once a minute."""

    __slots__ = ("_logger", "_reached")

    def __init__(self, logger: logging.Logger) -> None:
        """Begin without warnings."""
        self._logger = logger
        self._reached: dict[str, tuple[float, int]] = {}  # the last warning's time, and how often it was left out since

    def reached(self, limit: str, *, by: object, now: float) -> None:
        """Warn that `limit`, the name of a setting or of what it bounds, was reached by somebody, such as a host."""
        last, left_out = self._reached.get(limit, (now - WARNING_INTERVAL, 0))
        if now - last < WARNING_INTERVAL:
            self._reached[limit] = (last, left_out + 1)
            return
        self._reached[limit] = (now, 0)
        more = f", and {left_out} times since the last warning" if left_out else ""
        self._logger.warning("limit reached: %s, by %s%s", limit, by, more)
