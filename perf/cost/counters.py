"""Counts what operations cost: instructions by valgrind or `perf stat`, processor time where there is neither.

valgrind watches one process that does all the operations, with a mark before each and behind it. For `perf stat` each
operation runs in processes of its own, once some number of times and once four times as often: the difference is free
of what starting Python and connecting cost.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.cost.operations import OPERATIONS
from perf.engine.links import EngineLink

__all__ = ["Counts", "blocks_left", "counter", "run_plain", "seconds_of"]

FACTOR = 4

TIME_OUT = 900.0
"""Seconds for one process; under valgrind it takes fifty times as long as alone."""

MARK, MARK_SYMBOL = os.getppid, "os_getppid"
"""A function that nobody else calls, at which valgrind begins a new count, and CPython's name of it in C."""

_ALLOCATORS = re.compile(r"_Py(Object|Mem_Raw)_(Malloc|Calloc|Realloc)\b")
"""CPython's allocators of objects and of memory, by their names in its symbol table."""


@dataclass(frozen=True)
class Counts:
    """What one unit of an operation takes; allocations, of Python and compiled code alike, where they were counted."""

    instructions: float
    allocations: float | None


Counting = Callable[[Sequence[str], int, tuple[str, str]], dict[str, Counts]]
"""Takes names of operations, a divisor of how often each is done, and a certificate."""


def counter() -> tuple[str, Counting] | None:
    """Return what counts instructions on this machine, with its name; None: nothing does."""
    if shutil.which("perf") is not None:
        try:
            _perf_stat([sys.executable, "-S", "-c", ""])
        except (RuntimeError, OSError, subprocess.SubprocessError):
            pass
        else:
            return "perf stat", _by_perf_stat
    return None if shutil.which("valgrind") is None else ("valgrind --tool=callgrind", _by_valgrind)


def _by_perf_stat(names: Sequence[str], divisor: int, certificate: tuple[str, str]) -> dict[str, Counts]:
    found = {}
    for name in names:
        counted = []
        for times in (1, FACTOR):
            command, units = _plain([name], divisor, times, certificate)
            counted.append((_perf_stat(command), units()[0]))
        (less, less_units), (more, more_units) = counted
        found[name] = Counts((more - less) / (more_units - less_units), None)
    return found


def _perf_stat(command: list[str]) -> float:
    done = _run(["perf", "stat", "-x", ",", "-e", "instructions:u", *command])
    match = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"perf stat counts no instructions: {done.stderr[-300:]}")
    return float(match[1])


def _by_valgrind(names: Sequence[str], divisor: int, certificate: tuple[str, str]) -> dict[str, Counts]:
    command, units = _plain(names, divisor, 1, certificate)
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "callgrind.out"
        options = [f"--callgrind-out-file={out}", f"--dump-before={MARK_SYMBOL}"]
        _run(["valgrind", "--tool=callgrind", *options, *command])
        found = {}
        for index, (name, done) in enumerate(zip(names, units(), strict=True)):
            profile = out.with_name(f"{out.name}.{2 * index + 2}")  # the odd ones hold what was before the mark
            if not profile.exists():
                raise RuntimeError(f"valgrind does not find {MARK_SYMBOL}: this Python has no symbols")
            instructions, allocations = _totals(profile)
            found[name] = Counts(instructions / done, allocations / done if allocations else None)
    return found


def _totals(profile: Path) -> tuple[float, int]:
    """Return instructions and calls of allocators in callgrind's output, which spells each name out only once."""
    names: dict[str, str] = {}
    total, calls, counts_next = 0.0, 0, False
    with profile.open() as lines:
        for line in lines:
            named = re.match(r"c?fn=\((\d+)\)(?: (.*))?", line)
            if named is not None:
                name = names.setdefault(named[1], named[2] or "")
                counts_next = line.startswith("c") and _ALLOCATORS.match(name) is not None
            elif line.startswith("calls="):
                calls += int(line[len("calls=") :].split()[0]) if counts_next else 0
                counts_next = False
            elif line.startswith("totals:"):
                total = float(line.split()[1])
    return total, calls


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIME_OUT, check=True)


# In the process that is counted.


def _plain(
    names: Sequence[str], divisor: int, times: int, certificate: tuple[str, str]
) -> tuple[list[str], Callable[[], list[int]]]:
    """Return a command that does operations and nothing else, and a function that then tells of how many units."""
    handle, report = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    plan = json.dumps({name: max(OPERATIONS[name].few // divisor, 10) * times for name in names})

    def units() -> list[int]:
        path = Path(report)
        counts: list[int] = json.loads(path.read_text())
        path.unlink()
        return counts

    return [sys.executable, "-m", "perf.cost", "--plain", plan, report, *certificate], units


def run_plain(plan: str, report: str, certificate: tuple[str, str]) -> None:
    """Do operations in this process with a mark before and behind each, and write down of how many units each was."""
    gc.disable()  # it would run here or there
    units = []
    for name, times in json.loads(plan).items():
        link = EngineLink(*certificate)
        OPERATIONS[name].run(link, 10)
        MARK()
        units.append(OPERATIONS[name].run(link, times))
        MARK()
    Path(report).write_text(json.dumps(units))


# In this process.


def seconds_of(name: str, count: int, *, rounds: int, certificate: tuple[str, str]) -> float:
    """Return the seconds of processor time of one unit of an operation, the least of several rounds."""
    link = EngineLink(*certificate)
    run = OPERATIONS[name].run
    run(link, count)
    least = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        units = run(link, count)
        least = min(least, (time.process_time() - begin) / units)
    return least


def blocks_left(name: str, count: int, *, certificate: tuple[str, str]) -> float:
    """Return how many blocks of Python's memory one unit of an operation leaves behind: none, or it leaks."""
    link = EngineLink(*certificate)
    run = OPERATIONS[name].run
    run(link, count)
    gc.collect()
    before = sys.getallocatedblocks()
    units = run(link, count)
    gc.collect()
    return (sys.getallocatedblocks() - before) / units
