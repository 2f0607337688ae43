"""How cost grows, and the exponents that it grows with: ``python -m perf.growth [--quick] [--check] [--record]``.

Streams from 10 to 10,000, connections from 1 to 2,000, messages from 64 B to 8 MiB. An exponent of 0 says flat, 1
linear; nothing may grow faster than linear, and what one stream or connection costs is to be flat (`series.py` has the
bars, which ``--check`` enforces). ``--quick`` takes seconds; all of it takes some minutes. ``--record`` keeps the
results for `perf.plots`.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
from typing import Any

from perf import records
from perf.growth import connections
from perf.growth.fit import exponent
from perf.growth.series import CONNECTIONS, SERIES, Series, measured_in_memory
from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert


def _amounts(series: Series, *, quick: bool) -> tuple[int, ...]:
    return tuple(each for each in series.amounts if not quick or each <= series.quick)


def _raise_descriptor_limit() -> None:
    """Let this process have a socket for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * max(CONNECTIONS) + 200
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _judged(series: Series, points: list[tuple[int, float]]) -> dict[str, Any]:
    tail = [point for point in points if point[0] >= series.tail]
    return {
        "of": series.of,
        "cost": series.cost,
        "claim": series.claim,
        "bar": series.bar,
        "exponent": exponent(tail if len(tail) > 1 else points),
        "points": [(amount, cost * series.scale) for amount, cost in points],
    }


def main() -> int:
    """Print the table; 1 when a bar is missed and was to be checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of a series' name")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail where a cost grows faster than its bar")
    parser.add_argument("--record", action="store_true", help="keep the results for perf.plots")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    chosen = [series for series in SERIES.values() if arguments.only in series.name]
    print(f"backend {BACKEND}; processor time of both ends; the least of {rounds} rounds")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        by_connections: dict[str, list[tuple[int, float]]] = {}
        if of_connections := [series for series in chosen if series.amounts is CONNECTIONS]:
            # Before all others: memory that those leave free would hide what connections take.
            _raise_descriptor_limit()
            amounts = _amounts(of_connections[0], quick=arguments.quick)
            by_connections = connections.measured(amounts, certificate=certificate)
        for series in chosen:
            points = by_connections.get(series.name) or measured_in_memory(
                series.name, _amounts(series, quick=arguments.quick), rounds=rounds, certificate=certificate
            )
            results[series.name] = judged = _judged(series, points)
            print(f"\n{series.name}: {series.cost}, by {series.of}")
            print("  ".join(f"{amount:,}: {cost:.4g}" for amount, cost in judged["points"]))
            print(f"exponent {judged['exponent']:+.2f}, at most {series.bar}", flush=True)
    if arguments.record:
        print(f"\nkept in {records.store('growth', results)}")
    missed = [name for name, each in results.items() if each["exponent"] > each["bar"]]
    if missed:
        print(f"\ngrows too fast: {', '.join(missed)}")
    return 1 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
