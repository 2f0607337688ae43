"""What floods from one peer do to another client: ``python -m perf.floods [--only KIND] [--seconds S] [--rounds N]``.

The server has one core, flooder and victim share the other. For each kind of input: how much of it the server can take
in a second, by the processor time that a number of units costs it; then a flood of half as much, and one of twice as
much. Fails (exit status 1) when at half the victim's median is above three times its quiet one, or when at twice a
request is lost, memory exceeds its bound, or one second after the flood the median is above three times the quiet one.

Some input cannot be offered at twice what can be taken: credit holds the flooder back, or it spends as much as the
server. There it sends all it may. Where there is a limit on the input, the server ends the connection, and the flooder
makes another one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from perf.floods.kinds import KINDS
from perf.floods.process import PeakMemory, Process, ProcessFailedError
from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert

MAX_SLOWDOWN = 3.0

SAMPLES = 3
"""How often the capacity is measured; the median counts."""

RECOVERY = 1.0
"""Seconds after a flood until another client must be served as before."""

COLUMNS = (
    ("", "flood", "<18"),
    ("capacity", "1/s", ">9"),
    ("quiet", "p50", ">8"),
    ("| half", "sent", ">8"),
    ("server", "busy", ">7"),
    ("", "p50", ">7"),
    ("", "ratio", ">6"),
    ("| twice", "sent", ">9"),
    ("", "done", ">6"),
    ("", "lost", ">5"),
    ("", "p50", ">8"),
    ("", "worst", ">7"),
    ("grown", "MiB", ">9"),
    ("| 1 s on", "p50", ">10"),
    ("", "ratio", ">6"),
    ("", "ended", ">7"),
)
"""Of the table: two lines of the head, and the width."""


def line(cells: Iterable[str]) -> str:
    """Return a line of the table."""
    return "".join(format(cell, width) for cell, (_, _, width) in zip(cells, COLUMNS, strict=True))


@dataclass
class Outcome:
    """What one kind of flood did; times are the victim's medians, in milliseconds."""

    kind: str
    capacity: float
    quiet: float
    sent_at_half: float
    busy_at_half: float
    at_half: float
    sent_at_twice: float
    completed_at_twice: int
    failed: int
    at_twice: float
    worst_at_twice: float
    growth: float
    after: float
    connections: int
    """That the server ended."""
    complaint: str
    """What the victim met first, if a request failed."""

    @property
    def row(self) -> str:
        """Return the line of the table."""
        cells = (
            self.kind,
            f"{self.capacity:.0f}",
            f"{self.quiet:.2f}",
            f"{self.sent_at_half:.2f}",
            f"{self.busy_at_half:.0%}",
            f"{self.at_half:.2f}",
            f"{self.at_half / self.quiet:.1f}",
            f"{self.sent_at_twice:.2f}",
            f"{self.completed_at_twice}",
            f"{self.failed}",
            f"{self.at_twice:.2f}",
            f"{self.worst_at_twice:.0f}",
            f"{self.growth:.1f}/{KINDS[self.kind].memory}",
            f"{self.after:.2f}",
            f"{self.after / self.quiet:.1f}",
            f"{self.connections}",
        )
        return f"{line(cells)}  {', '.join(self.misses) or 'ok'}"

    @property
    def misses(self) -> list[str]:
        """Return which bars were missed."""
        return [
            what
            for what, is_missed in {
                "slow at half": self.at_half > MAX_SLOWDOWN * self.quiet,
                "requests lost": self.failed > 0 or not self.completed_at_twice,
                "memory": self.growth > KINDS[self.kind].memory,
                "slow afterwards": self.after > MAX_SLOWDOWN * self.quiet,
            }.items()
            if is_missed
        ]


def measure(kind: str, *, seconds: float, certificate: tuple[str, str]) -> Outcome:
    """Flood a server of its own."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = str(cores[0]), str(cores[-1])
    certfile, keyfile = certificate
    settings = json.dumps(KINDS[kind].settings)
    processes: list[Process] = []

    def start(module: str, *arguments: str) -> Process:
        processes.append(Process(module, *arguments))
        return processes[-1]

    try:
        server = start(
            "server", "--certfile", certfile, "--keyfile", keyfile, "--core", server_core, "--settings", settings
        )
        port = server.first_line
        victim = start("victim", "--port", port, "--core", client_core)
        flooder = start("flooder", kind, "--port", port, "--core", client_core)
        return _run(kind, seconds, server, victim, flooder)
    finally:
        for process in reversed(processes):
            process.close()


def _run(kind: str, seconds: float, server: Process, victim: Process, flooder: Process) -> Outcome:
    victim.ask("measure 0.5")  # warm
    capacity = _find_capacity(kind, server, flooder)
    quiet = victim.ask(f"measure {seconds}", seconds=seconds)
    before = server.ask("look")
    half, flooded_half = _both(victim, flooder, capacity / 2, seconds)
    busy = (server.ask("look")["cpu"] - before["cpu"]) / seconds
    time.sleep(RECOVERY)
    with PeakMemory(server.pid) as memory:
        twice, flooded_twice = _both(victim, flooder, capacity * 2, seconds)
        time.sleep(RECOVERY)
        after = victim.ask(f"measure {seconds / 2}", seconds=seconds)
    return Outcome(
        kind=kind,
        capacity=capacity,
        quiet=quiet["p50"] * 1e3,
        sent_at_half=flooded_half["offered"] / flooded_half["seconds"] / capacity,
        busy_at_half=busy,
        at_half=half["p50"] * 1e3,
        sent_at_twice=flooded_twice["offered"] / flooded_twice["seconds"] / capacity,
        completed_at_twice=twice["completed"],
        failed=sum(each["failed"] for each in (quiet, half, twice, after)),
        at_twice=twice["p50"] * 1e3,
        worst_at_twice=twice["worst"] * 1e3,
        growth=memory.growth,
        after=after["p50"] * 1e3,
        connections=flooded_half["connections"] + flooded_twice["connections"],
        complaint=next(filter(None, (each["complaint"] for each in (quiet, half, twice, after))), ""),
    )


def _both(victim: Process, flooder: Process, rate: float, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the victim measured under a flood."""
    flooder.tell(f"flood {rate} {seconds}")
    time.sleep(0.1)
    measured = victim.ask(f"measure {seconds - 0.2}", seconds=seconds)
    return measured, flooder.answer(seconds=seconds)


def _find_capacity(kind: str, server: Process, flooder: Process) -> float:
    """Return how many units the server can take in a second: how many cost it a second of processor time.

    A datagram that was dropped costs little, and is not taken: those that reached the program count.
    """
    rates: list[float] = []
    for _ in range(SAMPLES):
        flooder.ask("renew")
        time.sleep(0.2)
        before = server.ask("look")
        sent = flooder.ask(f"send {KINDS[kind].sample}")["offered"]
        after = server.ask("look")
        taken = after["datagrams"] - before["datagrams"] if KINDS[kind].is_lossy else sent
        rates.append(taken / max(after["cpu"] - before["cpu"], 1e-6))
    if not any(rates):
        raise ProcessFailedError("the flooder could send nothing, or the server took nothing")
    return statistics.median(rates)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each flood lasts")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print(
        f"backend {BACKEND}; {arguments.seconds} s for each measurement; times in ms; half, twice: of what the server"
    )
    print("can take of that input in a second; sent: of that, in fact; ended: connections that the server closed")
    print(line(first for first, _, _ in COLUMNS))
    print(line(second for _, second, _ in COLUMNS), flush=True)
    missed = measured = 0
    kinds = arguments.only or list(KINDS)
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for _ in range(arguments.rounds):
            for kind in kinds:
                try:
                    seen = measure(kind, seconds=arguments.seconds, certificate=certificate)
                except (ProcessFailedError, OSError) as error:
                    print(f"{kind:<18} not measured: {error}", flush=True)
                    missed += 1
                    continue
                print(seen.row, flush=True)
                if seen.complaint:
                    print(f"{'':<18} the victim's first loss: {seen.complaint}", flush=True)
                measured += 1
                missed += bool(seen.misses)
    print(f"{measured} of {arguments.rounds * len(kinds)} measured, {missed} not within the bars", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
