"""Snapshots as dicts, and monitors of something that is no part of a network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from wtransport.monitor._base import _BaseMonitor, as_metrics


@dataclass
class Inner:
    count: int = 1


@dataclass
class Outer:
    name: str = "outer"
    inner: Inner = field(default_factory=Inner)
    waiting: list[Any] = field(default_factory=list)


async def test_snapshots_are_dicts_of_the_same_values() -> None:
    future = asyncio.get_running_loop().create_future()  # which nothing can copy
    metrics = as_metrics(Outer(waiting=[future]))
    assert metrics == {"name": "outer", "inner": {"count": 1}, "waiting": [future]}
    future.cancel()


class Thermometer(_BaseMonitor[list[int]]):
    """Takes one reading after the other; the last one stays."""

    async def _collect(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"degrees": self._target.pop(0) if len(self._target) > 1 else self._target[0]}

    def _find_problems(self, metrics: dict[str, Any]) -> dict[str, str]:
        problems = {}
        if metrics["degrees"] > 30:
            problems["hot"] = f"{metrics['degrees']} degrees"
        if metrics["degrees"] > 40:
            problems["very_hot"] = f"{metrics['degrees']} degrees"
        return problems


async def test_an_alert_comes_when_something_begins() -> None:
    readings = [20, 35, 36, 45, 35, 20, 35]
    async with Thermometer(list(readings), monitoring_interval=0.001) as monitor:
        async with asyncio.timeout(5.0):
            while len(monitor.get_metrics_history()) < len(readings):
                await asyncio.sleep(0.001)
    taken = [entry["degrees"] for entry in monitor.get_metrics_history()]
    assert taken[: len(readings)] == readings
    assert [(alert["type"], alert["message"]) for alert in monitor.get_alerts()] == [
        ("hot", "35 degrees"),
        ("very_hot", "45 degrees"),
        ("hot", "35 degrees"),
    ]
    assert [alert["type"] for alert in monitor.get_alerts(limit=1)] == ["hot"]


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_the_interval_has_to_be_positive(interval: float) -> None:
    with pytest.raises(ValueError, match="monitoring_interval"):
        Thermometer([1], monitoring_interval=interval)
