"""Measure both twins in turn and print the ratios.

``python -m perf.kernels [--rounds N] [--only TEXT] [--check]``. In every round each twin runs once, one after the
other, so that whatever else the machine does meets both. Times are medians over the rounds, the ratio is the median
of the rounds' own ratios, and beside it stand the smallest and the largest.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from timeit import Timer
from types import ModuleType

from perf.kernels.cases import CASES, Case
from perf.kernels.stage_cases import STAGE_CASES

# A kernel of these groups that is not this many times as fast as its twin misses the bar.
BAR = {"parsing": 3.0, "queue": 3.0}

# A kernel that gains less than this, in its median case, is not worth its .pyx.
WORTH = 1.5

# Seconds that one timing should take: long against the clock and the scheduler, short enough for sixty cases.
TIMING = 0.02


@dataclass(frozen=True, slots=True)
class Result:
    """The measurements of one case: nanoseconds per operation and, per round, how often faster the compiled twin is."""

    case: Case
    pure: float
    compiled: float
    ratios: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)


def _timer(case: Case, twin: ModuleType) -> tuple[Timer, int]:
    timer = Timer(case.statement, case.setup, globals=case.globals(twin))
    number = 10
    while (elapsed := timer.timeit(number)) < TIMING / 4:  # also the warm-up
        number *= 4
    return timer, max(1, int(number * TIMING / elapsed))


def measure(case: Case, rounds: int) -> Result:
    """Time one case on both twins, in turn."""
    pure, pure_number = _timer(case, case.twins[0])
    compiled, compiled_number = _timer(case, case.twins[1])
    pure_times = []
    compiled_times = []
    for _ in range(rounds):
        pure_times.append(pure.timeit(pure_number) / pure_number)
        compiled_times.append(compiled.timeit(compiled_number) / compiled_number)
    scale = 1e9 / case.operations
    return Result(
        case,
        statistics.median(pure_times) * scale,
        statistics.median(compiled_times) * scale,
        [slow / fast for slow, fast in zip(pure_times, compiled_times, strict=True)],
    )


def _summary(results: list[Result]) -> dict[str, tuple[float, float]]:
    """Return, for each kernel, the median ratio of its judged cases and the bar it has to meet."""
    summary = {}
    for kernel in dict.fromkeys(result.case.kernel for result in results):
        judged = [result for result in results if result.case.kernel == kernel and not result.case.copying]
        if judged:
            ratio = statistics.median(result.ratio for result in judged)
            summary[kernel] = ratio, BAR.get(judged[0].case.group, WORTH)
    return summary


def main() -> int:
    """Run the benchmarks; 1 if a kernel misses its bar and --check was given."""
    parser = argparse.ArgumentParser(prog="python -m perf.kernels", description="Kernels, both twins side by side.")
    parser.add_argument("--rounds", type=int, default=9, help="timings of each case on each twin (default: 9)")
    parser.add_argument("--only", default="", help="only cases whose kernel contains this text")
    parser.add_argument("--check", action="store_true", help="fail if a kernel misses its bar")
    options = parser.parse_args()
    cases = [case for case in [*CASES, *STAGE_CASES] if options.only in case.kernel]
    if not cases:
        parser.error(f"no kernel contains {options.only!r}")

    print(f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, {options.rounds} rounds")
    print(f"{'kernel':<22}{'case':<36}{'python':>11}{'cython':>11}{'ratio':>8}   spread")
    results = []
    for case in cases:
        result = measure(case, options.rounds)
        results.append(result)
        mark = " (copying: not judged)" if case.copying else ""
        print(
            f"{case.kernel:<22}{case.name:<36}{result.pure:>8.1f} ns{result.compiled:>8.1f} ns{result.ratio:>7.1f}x"
            f"   {min(result.ratios):.1f}..{max(result.ratios):.1f}{mark}",
            flush=True,
        )
    failed = False
    print("\nmedian over the judged cases of each kernel, and its bar")
    for kernel, (ratio, bar) in _summary(results).items():
        failed |= ratio < bar
        print(f"{kernel:<22}{ratio:>6.1f}x{bar:>8.1f}x{'   below the bar' if ratio < bar else ''}")
    return 1 if failed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
