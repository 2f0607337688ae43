"""Ours beside the peers: ``python -m perf.peers [--rounds N] [--quick] [--record]``.

Every contestant serves the echo service of the interoperability tests (`tests/peers/programs`; `make setup-peers`
installs them), each in a process of its own on asyncio's loop, and one client of ours gives all of them the same work.
They take turns within every round, so that whatever else the machine does meets all alike; a figure is the median of
the rounds, its ratio the median of the rounds' own ratios: above 1 ours is ahead. Servers are compared: by the clock,
of which the client's share is the same for all, by the processor time that the server takes, and by the memory that its
process grows by with each of a number of idle connections. Linux only, as the last two are read from /proc.

A peer that fails or lacks is named with the reason. ``--record`` keeps the results for `perf.plots`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from typing import Any

from perf import records
from perf.peers.contestants import OURS, Contestant, contestants
from perf.peers.load import SCENARIOS, Load, idle_connections
from wtransport.utils import generate_self_signed_cert

QUICK = 0.02
"""Share of the usual work in a quick run."""

WARM_UP = 0.1
"""Share of the work that is done before it counts."""

CANNOT = {
    ("webtransport_py", "echo of 64 KiB"): "it never returns once its congestion window is used up",
}
"""What a contestant is not asked for, and why: its program in tests/peers says more."""

MEMORY = "idle connection"
TIME_OUT = 120.0
"""Seconds for one contestant's work of one kind."""

Figures = dict[str, float]
"""By row of the table, less is better."""


async def _work(contestant: Contestant, scenario: str, share: float, certificate: tuple[str, str]) -> Figures:
    async with contestant.serving(certificate) as server, asyncio.timeout(TIME_OUT):
        load = Load(server.port, share)
        if scenario == MEMORY:
            async with idle_connections(load, 2):  # what is made once is made
                before = server.resident_kib()
                async with idle_connections(load, load.times(100)) as count:
                    return {f"{scenario}, KiB of memory": (server.resident_kib() - before) / count}
        run = SCENARIOS[scenario]
        await run(Load(server.port, share * WARM_UP))
        before, began = server.processor_seconds(), time.perf_counter()
        units = await run(load)
        clock, spent = time.perf_counter() - began, server.processor_seconds() - before
        return {
            f"{scenario}, µs": clock / units * 1e6,
            f"{scenario}, µs of the server": spent / units * 1e6,
        }


async def _rounds(
    scenario: str, chosen: list[Contestant], rounds: int, share: float, certificate: tuple[str, str]
) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Return figures by row and contestant, a value for each round that all went well, and failures by contestant."""
    rows: dict[str, dict[str, list[float]]] = {}
    failures = {each.name: CANNOT[each.name, scenario] for each in chosen if (each.name, scenario) in CANNOT}
    for _ in range(rounds):
        for contestant in chosen:
            if contestant.name in failures:
                continue
            try:
                figures = await _work(contestant, scenario, share, certificate)
            except Exception as failure:  # noqa: BLE001 - the table says so
                failures[contestant.name] = f"{type(failure).__name__}: {failure}"
                continue
            for row, value in figures.items():
                rows.setdefault(row, {}).setdefault(contestant.name, []).append(value)
    return rows, failures


def _judged(figures: dict[str, list[float]], failures: dict[str, str]) -> dict[str, Any]:
    judged: dict[str, Any] = {name: {"median": None, "failure": reason} for name, reason in failures.items()}
    for name, values in figures.items():
        if name in failures:
            continue
        judged[name] = {"median": statistics.median(values), "values": values}
        ours = figures.get(OURS, [])
        ratios = [theirs / own for theirs, own in zip(values, ours, strict=False) if own > 0 and theirs > 0]
        if name != OURS and ratios:
            judged[name]["ratio"] = statistics.median(ratios)
    return judged


def _shown(entry: dict[str, Any]) -> str:
    if entry["median"] is None:
        return "failed"
    ratio = entry.get("ratio")
    return f"{entry['median']:.4g}" + ("" if ratio is None else f" ({ratio:.2f}x)")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a scenario's name")
    parser.add_argument("--contestants", default="", help="names, separated by commas; all without")
    parser.add_argument("--quick", action="store_true", help="one round with little work, to see that it works")
    parser.add_argument("--record", action="store_true", help="keep the results for perf.plots")
    arguments = parser.parse_args()
    rounds, share = (1, QUICK) if arguments.quick else (arguments.rounds, 1.0)
    wanted = arguments.contestants.split(",")
    chosen = [each for each in contestants() if not arguments.contestants or each.name in wanted]
    versions = {each.name: each.version for each in chosen}
    print("  ".join(f"{name} {version}" for name, version in versions.items()), f" rounds: {rounds}")
    scenarios: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for scenario in (*SCENARIOS, MEMORY):
            if arguments.only not in scenario:
                continue
            rows, failures = asyncio.run(_rounds(scenario, chosen, rounds, share, certificate))
            for row, figures in rows.items():
                scenarios[row] = {"figures": _judged(figures, failures)}
                cells = "  ".join(f"{name} {_shown(each)}" for name, each in scenarios[row]["figures"].items())
                print(f"{row}: {cells}", flush=True)
            for name, reason in failures.items():
                print(f"  {name} failed: {reason[:200]}")
    if arguments.record:
        results = {"versions": versions, "rounds": rounds, "scenarios": scenarios}
        print(f"kept in {records.store('peers', results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
