"""Programs that read lines and answer with lines of JSON, and who talks to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

__all__ = ["PeakMemory", "Process", "pin"]

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def pin(core: int | None) -> None:
    """Run on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


class Process:
    """A module of this package in a process of its own."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"perf.floods.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first_line = self._line()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("no pipe")
        stdin.write(line + "\n")
        stdin.flush()

    def ask(self, line: str) -> dict[str, Any]:
        """Write a line and return the answer."""
        self.tell(line)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _line(self) -> str:
        stdout = self._process.stdout
        line = "" if stdout is None else stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended early")
        return line.strip()

    def close(self) -> None:
        """Let the program end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class PeakMemory:
    """The most memory that a process has while the block runs, in MiB more than before."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/statm")
        self._before = self._now()
        self._peak = self._before
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _now(self) -> int:
        return int(self._path.read_text().split()[1]) * PAGE

    def _watch(self) -> None:
        while not self._is_over.wait(0.02):
            self._peak = max(self._peak, self._now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        """Return the growth."""
        return (self._peak - self._before) / MIB
