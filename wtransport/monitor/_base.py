"""What every monitor does: take a snapshot at regular intervals, keep the last ones, and notice what looks wrong."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import fields, is_dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..utils import get_logger, get_timestamp

__all__: list[str] = []

MAX_METRICS = 120
"""Snapshots kept: an hour of them at 30 s."""

MAX_ALERTS = 100
"""Alerts kept; they come when something begins to look wrong, not at every look."""

T = TypeVar("T")

logger = get_logger(name=__name__)


class _BaseMonitor(ABC, Generic[T]):
    """Watches one object; used as ``async with``. The first look is taken at once.

    A look that fails is logged, and the next one is taken all the same.
    """

    def __init__(self, target: T, *, monitoring_interval: float) -> None:
        """Create a monitor of `target`.

        Raises:
            ValueError: `monitoring_interval` is not positive.
        """
        if not monitoring_interval > 0:
            raise ValueError(f"monitoring_interval must be positive, not {monitoring_interval}")
        self._target = target
        self._interval = monitoring_interval
        self._metrics: deque[dict[str, Any]] = deque(maxlen=MAX_METRICS)
        self._alerts: deque[dict[str, Any]] = deque(maxlen=MAX_ALERTS)
        self._active_alerts: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to monitor; has no effect while it does."""
        if not self.is_monitoring:
            self._task = asyncio.get_running_loop().create_task(self._monitor())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Stop monitoring; what was collected stays."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))

    @property
    def is_monitoring(self) -> bool:
        """Tell whether snapshots are being taken."""
        return self._task is not None and not self._task.done()

    def get_metrics_history(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Return the last snapshots, oldest first, at most `limit`.

        Each has ``timestamp`` (seconds since the epoch) and the fields of the target's diagnostics.

        Raises:
            ValueError: `limit` is negative.
        """
        return _last(self._metrics, limit)

    def get_alerts(self, *, limit: int = 25) -> list[dict[str, Any]]:
        """Return the last alerts, oldest first, at most `limit`.

        Each has ``timestamp`` (seconds since the epoch), ``type`` and ``message``. What looks wrong is reported when it
        begins, and again only after it was right in between.

        Raises:
            ValueError: `limit` is negative.
        """
        return _last(self._alerts, limit)

    def clear_history(self) -> None:
        """Forget all snapshots and alerts; what still looks wrong is reported anew."""
        self._metrics.clear()
        self._alerts.clear()
        self._active_alerts.clear()

    def _latest(self) -> dict[str, Any] | None:
        return dict(self._metrics[-1]) if self._metrics else None

    async def _monitor(self) -> None:
        loop = asyncio.get_running_loop()
        next_look = loop.time()
        while True:
            try:
                self._metrics.append({"timestamp": get_timestamp(), **await self._collect()})
                self._report(self._find_problems(self._metrics[-1]))
            except Exception:
                logger.exception("%s could not look at %r", type(self).__name__, self._target)
            next_look = max(next_look + self._interval, loop.time())
            await asyncio.sleep(next_look - loop.time())

    def _report(self, problems: dict[str, str]) -> None:
        for kind, message in problems.items():
            if kind not in self._active_alerts:
                self._alerts.append(self._make_alert(kind, message))
                logger.warning("%s: %s", type(self).__name__, message)
        self._active_alerts = set(problems)

    def _make_alert(self, kind: str, message: str) -> dict[str, Any]:
        return {"timestamp": get_timestamp(), "type": kind, "message": message}

    @abstractmethod
    async def _collect(self) -> dict[str, Any]:
        """Return a snapshot of the target."""

    @abstractmethod
    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        """Return what looks wrong in a snapshot: a message for each kind of alert."""


def as_metrics(diagnostics: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as a dict; dataclasses in it become dicts, too.

    Other than `dataclasses.asdict` it copies no value, some of which (futures) cannot be copied.
    """
    values = {field.name: getattr(diagnostics, field.name) for field in fields(diagnostics)}
    return {name: as_metrics(value) if is_dataclass(value) else value for name, value in values.items()}


def _last(entries: deque[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    if limit < 0:
        raise ValueError(f"limit must not be negative, not {limit}")
    return [dict(entry) for entry in list(entries)[max(0, len(entries) - limit) :]]
