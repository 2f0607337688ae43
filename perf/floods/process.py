"""Programs that read lines and answer with lines of JSON, and who talks to them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

__all__ = ["PATIENCE", "PeakMemory", "Process", "ProcessFailedError", "pin"]

PATIENCE = 120.0
"""Seconds that a program may take to answer, beyond what it was told to spend."""

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def pin(core: int | None) -> None:
    """Run on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


class ProcessFailedError(Exception):
    """A program ended, or did not answer."""


class Process:
    """A module of this package in a process of its own."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._last_told = "its first line"
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"perf.floods.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.first_line = self._line(0.0)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line."""
        self._last_told = line
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise ProcessFailedError(self._end()) from None

    def ask(self, line: str, *, seconds: float = 0.0) -> dict[str, Any]:
        """Write a line and return the answer, which takes about so many seconds.

        Raises:
            ProcessFailedError: the program has ended, or took much longer.
        """
        self.tell(line)
        return self.answer(seconds=seconds)

    def answer(self, *, seconds: float = 0.0) -> dict[str, Any]:
        """Return the next answer, which takes about so many seconds.

        Raises:
            ProcessFailedError: the program has ended, took much longer, or could not do what it was told.
        """
        answer: dict[str, Any] = json.loads(self._line(seconds))
        if "error" in answer:
            raise ProcessFailedError(f"the {self._module} could not {self._last_told!r}: {answer['error']}")
        return answer

    def _read(self) -> None:
        """Pass lines on, in a thread: a pipe has no time-out. An empty one is the end."""
        while self._process.stdout is not None and (line := self._process.stdout.readline()):
            self._lines.put(line)
        self._lines.put("")

    def _line(self, seconds: float) -> str:
        try:
            line = self._lines.get(timeout=seconds + PATIENCE)
        except queue.Empty:
            text = f"the {self._module} has not answered {self._last_told!r} for {seconds + PATIENCE:.0f} s"
            raise ProcessFailedError(text) from None
        if not line:
            raise ProcessFailedError(self._end())
        return line.strip()

    def _end(self) -> str:
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            return f"the {self._module} has closed its output at {self._last_told!r}"
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"the {self._module} ended {how} at {self._last_told!r}"

    def close(self) -> None:
        """Let the program end."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


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
