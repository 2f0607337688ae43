"""Whether what a process holds grows."""

from __future__ import annotations

from statistics import median

TOLERANCE = {"resident_kib": (0.03, 2048), "blocks": (0.02, 3000), "objects": (0.02, 1000)}
"""Of each measure: the share, and the amount beside it, by which the last third may exceed the first.

They are for noise: fragments of the allocator, tables that double, a connection more or less in the round before. A
leak of one object for each stream would be some thousands after a minute.
"""

SAME = ("descriptors", "tasks")
"""Measures that must be what they were."""

LATE_TIMERS = 1
"""The listener's one timer for unfinished handshakes may still be armed."""


class Holdings:
    """What one process held at each quiet moment."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._quiet: list[dict[str, int]] = []
        self._busy: list[dict[str, int]] = []
        self._warm_from: int | None = None

    def at_rest(self, figures: dict[str, int]) -> None:
        """Take what there is before anything has begun."""
        self._rest = figures

    def ended(self, figures: dict[str, int]) -> None:
        """Take what there is when all is over."""
        self._last = figures

    def warm(self) -> None:
        """Note that from now on nothing may grow."""
        self._warm_from = len(self._quiet)

    def quiet(self, figures: dict[str, int]) -> None:
        """Take what there is after a round."""
        self._quiet.append(figures)

    def glance(self, figures: dict[str, int]) -> None:
        """Take what there is under load."""
        self._busy.append(figures)

    def latest(self) -> str:
        """Return the latest quiet figures in short."""
        figures = self._quiet[-1]
        return f"{figures['resident_kib'] / 1024:.1f} MiB, {figures['objects']} objects, {figures['tasks']} tasks"

    def problems(self) -> list[str]:
        """Return what has grown, and what is left."""
        wrong = []
        warm = self._quiet[self._warm_from or 0 :]
        third = max(1, len(warm) // 3)
        for name, (share, amount) in TOLERANCE.items():
            first = median(each[name] for each in warm[:third])
            last = median(each[name] for each in warm[-third:])
            if last > first * (1 + share) + amount:
                wrong.append(f"{self._name}: {name} grows from {first:.0f} to {last:.0f}")
        for name in SAME:
            values = {each[name] for each in warm}
            if len(values) > 1:
                wrong.append(f"{self._name}: {name} differ between rounds: {sorted(values)}")
            if self._last[name] > self._rest[name]:
                wrong.append(f"{self._name}: {name} are left: {self._last[name]}, {self._rest[name]} at first")
        if self._last["timers"] > self._rest["timers"] + LATE_TIMERS:
            wrong.append(f"{self._name}: timers are left: {self._last['timers']}, {self._rest['timers']} at first")
        return wrong

    def report(self) -> list[str]:
        """Return the figures, a line for each measure."""
        warm = self._quiet[self._warm_from or 0 :]
        third = max(1, len(warm) // 3)
        lines = [f"{self._name}: at rest | first third, last third of {len(warm)} quiet rounds | most under load | end"]
        for name in (*TOLERANCE, *SAME, "timers"):
            first = median(each[name] for each in warm[:third])
            last = median(each[name] for each in warm[-third:])
            most = max((each[name] for each in self._busy if name in each), default=0)
            lines.append(
                f"  {name:13} {self._rest[name]:8} | {first:9.0f} {last:9.0f} | {most:8} | {self._last[name]:8}"
            )
        return lines
