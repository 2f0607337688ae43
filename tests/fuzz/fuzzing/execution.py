"""Running one input: on each twin, within a time, with the outcomes compared."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any

__all__ = ["DisagreementError", "Execution", "SlowInputError"]

MAX_CPU_SECONDS = 20.0
"""CPU seconds that one input may take on one twin: a thousand times what the slowest good one needs."""


class DisagreementError(AssertionError):
    """The twins did not do the same."""


class SlowInputError(BaseException):
    """An input takes much too long; no `except Exception` may stop this."""


class Execution:
    """One target on one twin, or on both."""

    def __init__(self, targets: Sequence[ModuleType]) -> None:
        """`targets` is the same target's module, once for each twin."""
        self._targets = targets
        signal.signal(signal.SIGVTALRM, _too_slow)

    def __call__(self, data: bytes) -> list[Any]:
        """Run one input, and return what the target saw.

        Raises:
            Exception: whatever the target raises is a finding, and so is DisagreementError.
        """
        first: list[Any] | None = None
        for target in self._targets:
            signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_SECONDS)
            try:
                trace = target.fuzz(data)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            if first is None:
                first = trace
            elif trace != first:
                raise DisagreementError(_difference(first, trace, [each.BACKEND for each in self._targets]))
        return first or []


def _too_slow(signal_number: int, frame: FrameType | None) -> None:
    raise SlowInputError(f"over {MAX_CPU_SECONDS} s of CPU")


def _difference(first: list[Any], second: list[Any], names: list[str]) -> str:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return f"item {index}: {names[0]} {one!r}, {names[1]} {other!r}"
    return f"{names[0]} did {len(first)} things, {names[1]} {len(second)}"
