"""What one packet, datagram, stream and request costs: ``python -m perf.cost [--quick] [--record]``.

Both ends together, in memory, without sockets: instructions, calls of Python's allocators, processor time, and blocks
of memory that stay. Instructions hardly change from run to run, whatever else the machine does, and allocations not at
all: these are the figures to compare a change by. They need `perf stat` with access to the processor's counters, or
valgrind; without both the table has processor time alone. ``--record`` keeps the results for `perf.plots`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from typing import Any

from perf import records
from perf.cost.counters import Counts, blocks_left, counter, run_plain, seconds_of
from perf.cost.operations import OPERATIONS
from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert

QUICK = 10
"""A quick run does everything so many times less often."""


def _measured(name: str, counts: Counts | None, *, quick: bool, certificate: tuple[str, str]) -> dict[str, Any]:
    operation = OPERATIONS[name]
    rounds, times = (1, max(operation.few // QUICK, 10)) if quick else (5, 4 * operation.few)
    return {
        "unit": operation.unit,
        "instructions": None if counts is None else counts.instructions,
        "allocations": None if counts is None else counts.allocations,
        "seconds": seconds_of(name, times, rounds=rounds, certificate=certificate),
        "blocks": blocks_left(name, times, certificate=certificate),
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of an operation's name")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes, with less of everything")
    parser.add_argument("--no-instructions", action="store_true", help="processor time and blocks only")
    parser.add_argument("--record", action="store_true", help="keep the results for perf.plots")
    parser.add_argument("--plain", nargs=4, metavar=("PLAN", "REPORT", "CERT", "KEY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plan, report, certfile, keyfile = arguments.plain
        run_plain(plan, report, (certfile, keyfile))
        return 0
    names = [name for name in OPERATIONS if arguments.only in name]
    found = None if arguments.no_instructions else counter()
    print(f"backend {BACKEND}; both ends; instructions by {'nothing' if found is None else found[0]}")
    print(f"{'':22} {'instructions':>13} {'allocations':>12} {'µs':>8} {'blocks left':>12}")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        counts = {} if found is None else found[1](names, QUICK if arguments.quick else 1, certificate)
        for name in names:
            results[name] = row = _measured(name, counts.get(name), quick=arguments.quick, certificate=certificate)
            cells = [
                "-" if value is None else form.format(value)
                for form, value in (("{:,.0f}", row["instructions"]), ("{:.1f}", row["allocations"]))
            ]
            seconds, blocks = f"{row['seconds'] * 1e6:.2f}", f"{row['blocks']:.2f}"
            print(f"{name:22} {cells[0]:>13} {cells[1]:>12} {seconds:>8} {blocks:>12}", flush=True)
    if arguments.record:
        counted_by = None if found is None else found[0]
        print(f"kept in {records.store('cost', {'counted by': counted_by, 'operations': results})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
