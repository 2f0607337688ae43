"""Sends one kind of flood; each line on its standard input says how.

``flood RATE SECONDS``: so many units a second; ``send UNITS``: so many in all, at a moderate rate, and then nothing
until they have been dealt with; ``renew``: another connection.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time

from perf.floods.kinds import KINDS, Flood
from perf.floods.process import pin
from wtransport.exceptions import SessionError

TICK = 0.001
"""Seconds between looks at the clock when nothing is due."""

NICENESS = 10
"""The victim is on the same core and comes first: what is measured is the server."""

BURST = 16
"""Batches that are offered at a time at most, before looking at what came back."""

PATIENCE = 60.0
"""Seconds in which some units must be offered that a measurement needs; a machine that is busy may leave none."""

SETTLE = 0.3
"""Seconds in which a server deals with what is measured."""


def flood(kind: Flood, *, rate: float, seconds: float) -> dict[str, float]:
    """Offer units evenly at a rate for so many seconds; return how many went out."""
    start, offered, connections, elapsed = time.monotonic(), 0, kind.connections, 0.0
    while elapsed < seconds:
        due = min(int((rate * elapsed - offered) / kind.batch), BURST)
        for _ in range(due):
            offered += kind.offer(kind.batch)
        kind.pump(TICK if due < BURST else 0.0)
        elapsed = time.monotonic() - start
    return {"offered": offered, "seconds": elapsed, "connections": kind.connections - connections}


def send(kind: Flood, units: int) -> dict[str, float]:
    """Offer so many units, and wait until the server must have dealt with them."""
    offered = 0
    deadline = time.monotonic() + PATIENCE
    while offered < units and time.monotonic() < deadline:
        for _ in range(BURST):
            offered += kind.offer(min(kind.batch, max(units - offered, 0)))
        kind.pump(TICK)
    end = time.monotonic() + SETTLE
    while time.monotonic() < end:
        kind.pump(TICK * 10)
    return {"offered": offered}


def main() -> None:
    """Connect, say so, and flood each time a line says how."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    pin(arguments.core)
    os.nice(NICENESS)
    kind = KINDS[arguments.kind].make(("127.0.0.1", arguments.port))
    print("ready", flush=True)
    while words := sys.stdin.readline().split():
        answer: dict[str, float | str] = {}
        try:
            match words[0]:
                case "flood":
                    answer |= flood(kind, rate=float(words[1]), seconds=float(words[2]))
                case "send":
                    answer |= send(kind, int(words[1]))
                case "renew":
                    kind.renew()
        except (ConnectionError, SessionError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    kind.close()


if __name__ == "__main__":
    main()
