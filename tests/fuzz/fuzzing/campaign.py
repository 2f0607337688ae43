"""Budgets and reports: one worker for each target, a few at a time."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzzing import corpora, worker
from fuzzing.worlds import FUZZ

__all__ = ["Campaign", "Result"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a target fared."""

    name: str
    runs: int
    cpu_seconds: float
    finding: Path | None


@dataclass(frozen=True, slots=True)
class Campaign:
    """What all targets of a run have in common.

    Attributes:
        twins: the sides of the kernels; with both, each input runs on both and the outcomes are compared.
        cpu_seconds: for each target; CPU time of its process, so that a busy machine takes nothing away.
        seed: of the random changes.
        is_guided: atheris and coverage, or changes at random.
    """

    twins: Sequence[str]
    cpu_seconds: float
    seed: int
    is_guided: bool

    def run(self, names: Sequence[str], *, jobs: int) -> list[Result]:
        """Fuzz targets, so many at a time."""
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(self._run_one, names))

    def _run_one(self, name: str) -> Result:
        directory = corpora.work_directory(name)
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in ("summary", "current"):
            (directory / leftover).unlink(missing_ok=True)
        log = directory / "log"
        began_at = time.monotonic()
        with log.open("wb") as output:
            status = subprocess.call(self._command(name), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        summary = directory / "summary"
        counted = json.loads(summary.read_text("ascii")) if summary.exists() else {"runs": 0, "cpu_seconds": 0.0}
        finding = None if status == 0 else self._finding(name, status, log)
        result = Result(name, counted["runs"], counted["cpu_seconds"], finding)
        verdict = "no finding" if finding is None else f"FOUND {finding}"
        print(
            f"{name}: {result.runs} inputs on {' and '.join(self.twins)}, {result.cpu_seconds:.0f} s of CPU in"
            f" {time.monotonic() - began_at:.0f} s, {verdict}",
            flush=True,
        )
        return result

    def _command(self, name: str) -> list[str]:
        return [
            *(sys.executable, str(FUZZ), "worker", name, "--twin", "both" if len(self.twins) > 1 else self.twins[0]),
            *("--cpu-seconds", str(self.cpu_seconds), "--seed", str(self.seed)),
            *([] if self.is_guided else ["--unguided"]),
        ]

    def _finding(self, name: str, status: int, log: Path) -> Path:
        text = log.read_text("utf-8", "replace")
        named = [line.removeprefix("FINDING ") for line in text.splitlines() if line.startswith("FINDING ")]
        if named:
            path = Path(named[-1])
        else:  # it crashed: the input is the one it was running
            data = worker.current_input(corpora.work_directory(name))
            path = corpora.keep(corpora.work_directory(name) / "findings", data, prefix="crash-")
        print(f"{name}: the worker ended with status {status}, its last lines:", file=sys.stderr)
        print("\n".join(text.splitlines()[-40:]), file=sys.stderr)
        print(f"to reproduce: {shlex.join([sys.executable, str(FUZZ), 'replay', name, str(path)])}", file=sys.stderr)
        return path
