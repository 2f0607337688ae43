"""What floods from one peer do to another client: ``python -m perf.floods [--only KIND] [--seconds S]``.

The server has one core, flooder and victim share the other. For each kind of input: how much of it the server takes,
then a flood of half as much, and one of twice as much. Fails (exit status 1) when at half the victim's median is above
three times its quiet one, or when at twice a request is lost, memory exceeds its bound, or one second after the flood
the median is still above three times the quiet one. Input that credit throttles can't be offered at twice what is
taken; there the flooder sends all it may.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from perf.floods.kinds import KINDS
from wtransport.utils import generate_self_signed_cert

MAX_SLOWDOWN = 3.0
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20

MEMORY_BOUNDS = {"datagrams": 32, "streams": 32, "resets": 32, "capsules": 32, "handshakes": 16}
"""MiB that the server may grow by. One peer may have a connection window of 4 MiB unread, 4 MiB of datagrams and some
hundred streams; allocators and the interpreter's own bookkeeping take as much again. With Retry a handshake leaves
nothing behind."""


class Process:
    """One of the three programs: lines in, lines of JSON out."""

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


HEADER = (
    "times in ms; half and twice: of what the server takes of that input in a second\n"
    f"{'':<12}{'':>9}{'quiet':>9}{'half':>9}{'':>9}{'server':>9}{'twice':>9}{'':>9}{'':>9}{'':>9}{'1 s on':>9}\n"
    f"{'flood':<12}{'taken/s':>9}{'p50':>9}{'p50':>9}{'ratio':>9}{'busy':>9}{'done':>9}{'lost':>9}{'worst':>9}{'MiB':>9}"
    f"{'p50':>9}{'ratio':>9}"
)


@dataclass
class Outcome:
    """What one kind of flood did; times are the victim's medians, in milliseconds."""

    kind: str
    capacity: float
    quiet: float
    at_half: float
    busy_at_half: float
    completed_at_twice: int
    failed: int
    worst_at_twice: float
    growth: float
    after: float

    @property
    def row(self) -> str:
        """Return the line of the table."""
        cells = (
            f"{self.capacity:.0f}",
            f"{self.quiet:.2f}",
            f"{self.at_half:.2f}",
            f"{self.at_half / self.quiet:.2f}",
            f"{self.busy_at_half:.0%}",
            f"{self.completed_at_twice}",
            f"{self.failed}",
            f"{self.worst_at_twice:.0f}",
            f"{self.growth:.1f}",
            f"{self.after:.2f}",
            f"{self.after / self.quiet:.2f}",
        )
        return f"{self.kind:<12}" + "".join(f"{cell:>9}" for cell in cells) + "  " + (", ".join(self.misses) or "ok")

    @property
    def misses(self) -> list[str]:
        """Return which bars were missed."""
        return [
            what
            for what, is_missed in {
                "slow at half": self.at_half > MAX_SLOWDOWN * self.quiet or self.at_half < 0,
                "requests lost": self.failed > 0,
                "memory": self.growth > MEMORY_BOUNDS[self.kind],
                "slow afterwards": self.after > MAX_SLOWDOWN * self.quiet or self.after < 0,
            }.items()
            if is_missed
        ]


def measure(kind: str, *, seconds: float, validation: str, certificate: tuple[str, str]) -> Outcome:
    """Flood a server of its own."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = str(cores[0]), str(cores[-1])
    certfile, keyfile = certificate
    processes: list[Process] = []

    def start(module: str, *arguments: str) -> Process:
        processes.append(Process(module, *arguments))
        return processes[-1]

    try:
        server = start(
            "server", "--certfile", certfile, "--keyfile", keyfile, "--core", server_core, "--validation", validation
        )
        port = server.first_line
        victim = start("victim", "--port", port, "--core", client_core)
        flooder = start("flooder", kind, "--port", port, "--core", client_core)
        return _run(kind, seconds, server, victim, flooder)
    finally:
        for process in reversed(processes):
            process.close()


def _run(kind: str, seconds: float, server: Process, victim: Process, flooder: Process) -> Outcome:
    time.sleep(1.0)
    victim.ask("take")
    time.sleep(seconds)
    quiet = victim.ask("take")
    with PeakMemory(server.pid) as memory:
        capacity = _find_capacity(kind, seconds, server, flooder)
        time.sleep(2.0)
        victim.ask("take")
        before = server.ask("stats")
        flooder.ask(f"{capacity / 2} {seconds}")
        busy = (server.ask("stats")["cpu"] - before["cpu"]) / seconds
        half = victim.ask("take")
        time.sleep(1.0)
        victim.ask("take")
        flooder.ask(f"{capacity * 2} {seconds}")
        time.sleep(1.0)
        twice = victim.ask("take")
    time.sleep(1.0)
    after = victim.ask("take")
    failed = sum(each["failed"] for each in (quiet, half, twice, after))
    return Outcome(
        kind=kind,
        capacity=capacity,
        quiet=quiet["p50"] * 1e3,
        at_half=half["p50"] * 1e3,
        busy_at_half=busy,
        completed_at_twice=twice["completed"],
        failed=failed,
        worst_at_twice=twice["worst"] * 1e3,
        growth=memory.growth,
        after=after["p50"] * 1e3,
    )


def _find_capacity(kind: str, seconds: float, server: Process, flooder: Process) -> float:
    """Return how many units the server takes in a second."""
    before, start = server.ask("stats"), time.monotonic()
    flood = flooder.ask(f"0 {seconds}")
    spent = time.monotonic() - start
    after_flood = server.ask("stats")
    counted = {"datagrams": "datagrams", "handshakes": "handshakes"}.get(kind)
    taken = flood["taken"] if counted is None else after_flood[counted] - before[counted]
    return float(taken / spent)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--validation", default="always", choices=("never", "auto", "always"), help="when to Retry")
    arguments = parser.parse_args()
    print(HEADER)
    is_missed = False
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for kind in arguments.only or KINDS:
            seen = measure(kind, seconds=arguments.seconds, validation=arguments.validation, certificate=certificate)
            print(seen.row, flush=True)
            is_missed |= bool(seen.misses)
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
