"""Sends one kind of flood; each line on its standard input, ``RATE SECONDS``, says how fast and how long."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time

from perf.floods.kinds import KINDS, Flood

TICK = 0.001
"""Seconds between looks at the clock when nothing is due."""


def flood(kind: Flood, *, rate: float, seconds: float) -> dict[str, float]:
    """Offer units at a rate (0: without a break) for so many seconds; return what went out and what got through."""
    start = time.monotonic()
    offered = 0
    before = kind.taken or 0
    batch = (kind.spread or kind.batch) if rate else kind.batch
    while (elapsed := time.monotonic() - start) < seconds:
        due = rate * elapsed - offered if rate else float(batch)
        sent = kind.offer(batch) if due >= batch else 0
        offered += sent
        kind.pump()
        if not sent:
            kind.wait(TICK)
    taken = kind.taken
    return {"offered": offered, "taken": -1 if taken is None else taken - before, "seconds": time.monotonic() - start}


def main() -> None:
    """Connect, say so, and flood each time a line says how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    kind = KINDS[arguments.kind](("127.0.0.1", arguments.port))
    print("ready", flush=True)
    while line := sys.stdin.readline():
        rate, seconds = (float(word) for word in line.split())
        print(json.dumps(flood(kind, rate=rate, seconds=seconds)), flush=True)
    kind.close()


if __name__ == "__main__":
    main()
