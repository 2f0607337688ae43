"""Which inputs are worth a place in the repository: a few that together reach all the code that all of them reach."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

from fuzzing import corpora
from fuzzing.execution import Execution
from fuzzing.worlds import load

__all__ = ["choose"]


def choose(name: str, *, max_bytes: int) -> list[bytes]:
    """Return inputs of a target that reach different code, the most telling ones first as far as there is room.

    What the target's own seeds reach is taken for granted.
    """
    target = load(name, "python")
    execution = Execution([target])
    reached: dict[bytes, frozenset[Any]] = {}
    for data in {*corpora.saved(name), *corpora.kept(corpora.work_directory(name) / "corpus")}:
        reached[data] = _reached(execution, data)
    covered: set[Any] = set()
    for data in target.seeds():
        covered |= _reached(execution, data)
    chosen: list[bytes] = []
    while True:
        best = max(reached, key=lambda data: (len(reached[data] - covered), -len(data), data), default=None)
        if best is None or not reached[best] - covered:
            return chosen
        max_bytes -= len(best)
        if max_bytes >= 0:
            chosen.append(best)
        else:
            max_bytes += len(best)
        covered |= reached.pop(best)


def _reached(execution: Execution, data: bytes) -> frozenset[Any]:
    """Return the steps from line to line in the package that an input takes."""
    steps: set[Any] = set()
    package = str(Path("wtransport", ""))

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if package not in frame.f_code.co_filename:
            return None
        code, before = frame.f_code, 0

        def trace_line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            steps.add((code.co_filename, before, frame.f_lineno))
            before = frame.f_lineno
            return trace_line

        return trace_line

    sys.settrace(trace)
    try:
        execution(data)
    finally:
        sys.settrace(None)
    return frozenset(steps)
