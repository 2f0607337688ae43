"""The exponent of growth: the slope of cost over amount when both are logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["exponent"]


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope through the logarithms of (amount, cost): 0 is flat, 1 linear, 2 quadratic.

    Raises:
        ValueError: fewer than two amounts.
    """
    logs = [(math.log(amount), math.log(cost)) for amount, cost in points]
    if len({x for x, _ in logs}) < 2:
        raise ValueError("growth needs at least two amounts")
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
