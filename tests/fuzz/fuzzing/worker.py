"""The process that fuzzes one target: it ends with its budget, or with the first finding."""

from __future__ import annotations

import gc
import json
import logging
import mmap
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from fuzzing import corpora, guided
from fuzzing.execution import Execution
from fuzzing.mutations import Pool
from fuzzing.worlds import load

__all__ = ["FINDING", "Watched", "current_input", "main"]

FINDING = 70
"""Exit status of a worker that found something; its file is named in the report."""

_CURRENT_SIZE = 1 << 16


def current_input(directory: Path) -> bytes:
    """Return the input that a worker was running when it ended, also when it was killed."""
    path = directory / "current"
    if not path.exists():
        return b""
    held = path.read_bytes()
    return held[4 : 4 + int.from_bytes(held[:4])]


class Watched:
    """Runs inputs and counts them; ends the process when the budget is used up or something is found."""

    def __init__(self, execution: Execution, directory: Path, *, cpu_seconds: float) -> None:
        self.pool: Pool | None = None
        self._execution = execution
        self._directory = directory
        self._runs = 0
        self._ends_at = time.process_time() + cpu_seconds
        self._began_at = time.process_time()
        with (directory / "current").open("w+b") as file:
            file.truncate(_CURRENT_SIZE)
            self._current = mmap.mmap(file.fileno(), _CURRENT_SIZE)

    def __call__(self, data: bytes) -> None:
        """Run one input."""
        self._current[:4] = len(data).to_bytes(4)
        self._current[4 : 4 + len(data)] = data  # it outlives a crash of this process
        try:
            trace = self._execution(data)
        except BaseException as error:
            self._report(data, error)
        self._runs += 1
        if self.pool is not None:
            self.pool.take(data, trace)
        if not self._runs & 15 and time.process_time() >= self._ends_at:
            self._end(0)

    def _report(self, data: bytes, error: BaseException) -> None:
        path = corpora.keep(self._directory / "findings", data, prefix="finding-")
        traceback.print_exception(error)
        print(f"FINDING {path}", file=sys.stderr, flush=True)
        self._end(FINDING)

    def _end(self, status: int) -> None:
        summary = {"runs": self._runs, "cpu_seconds": time.process_time() - self._began_at}
        (self._directory / "summary").write_text(json.dumps(summary), "ascii")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # libFuzzer has no other way out, and nothing is left to be done


def main(name: str, twins: Sequence[str], *, cpu_seconds: float, seed: int, is_guided: bool) -> None:
    """Fuzz until the budget of CPU time is used up or something is found; does not return."""
    logging.disable(logging.WARNING)  # complaints about peers are not what is looked for
    directory = corpora.work_directory(name)
    found = directory / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    # The pure side first: it must be imported apart, and it is what coverage is measured on.
    ordered = sorted(twins, reverse=True)
    around = {"around_import": guided.instrumented} if is_guided else {}
    targets = [load(name, twin, **around) if twin == "python" else load(name, twin) for twin in ordered]
    watched = Watched(Execution(targets), directory, cpu_seconds=cpu_seconds)
    seeds = corpora.seeds_of(name, targets[0])
    gc.freeze()  # what is there now stays; the collector need not look at it for every input
    if is_guided:
        for data in seeds:
            corpora.keep(directory / "seeds", data)
        guided.loop(watched, corpus=found, seeds=directory / "seeds", seed=seed)
    pool = watched.pool = Pool(seeds + corpora.kept(found), seed=seed)
    for data in seeds:
        watched(data)
    while True:
        watched(pool.mutated())
