"""What is measured: series of costs, each over growing amounts of one thing.

Costs are seconds of processor time of both ends together, which others on the machine disturb least, and of several
rounds the least. Everything but connections happens in memory, between two engines with a virtual clock.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from perf.engine.links import EngineLink

__all__ = ["SERIES", "Series", "measured_in_memory"]

STREAMS = (10, 30, 100, 300, 1000, 3000, 10_000)
CONNECTIONS = (1, 10, 30, 100, 300, 1000, 2000)
SIZES = (64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 8_388_608)

REQUESTS = 100
"""Requests that are timed while other streams are open."""

BODY = b"r" * 64


@dataclass(frozen=True)
class Series:
    """One figure: what is varied, what it costs, and how much that may grow."""

    name: str
    amounts: tuple[int, ...]
    of: str
    """What the amounts count."""
    cost: str
    """What is measured, with its unit."""
    scale: float
    """From seconds, or bytes, to that unit."""
    bar: float
    """The largest exponent that it may grow with."""
    claim: str
    """The same in words, true of any machine."""
    quick: int = 0
    """The largest amount of a quick run."""
    tail: int = field(default=0)
    """The exponent is that of amounts from here on: below, fixed costs hide how it grows."""


SERIES = {
    series.name: series
    for series in (
        Series(
            "streams at once", STREAMS, "streams open at once", "a request on each, µs per stream", 1e6, 0.15,
            "A stream costs the same however many are open at once.", quick=300,
        ),
        Series(
            "idle streams", STREAMS, "streams that lie idle", "a request on another stream, µs", 1e6, 0.15,
            "Streams that are open and idle cost the others nothing.", quick=300,
        ),
        Series(
            "message size", SIZES, "bytes of a message", "a message to the other end, µs", 1e6, 1.1,
            "A message costs a fixed amount, and beyond it in proportion to its bytes.", quick=65_536, tail=65_536,
        ),
        Series(
            "new connections", CONNECTIONS, "connections of a server", "a further connection, ms", 1e3, 0.15,
            "A connection costs the same however many there are.", quick=10,
        ),
        Series(
            "idle connections", CONNECTIONS, "connections that lie idle", "a request on another one, µs", 1e6, 0.15,
            "Connections that are open and idle cost the others nothing.", quick=10,
        ),
        Series(
            "memory", CONNECTIONS, "connections of a server", "memory held for both ends of one, KiB", 1 / 1024, 0.15,
            "Memory is in proportion to the connections, each the same.", quick=10, tail=100,
        ),
    )
}  # fmt: skip


def measured_in_memory(
    name: str, amounts: Iterable[int], *, rounds: int, certificate: tuple[str, str]
) -> list[tuple[int, float]]:
    """Return (amount, cost) of a series that needs no sockets."""
    workload = {"streams at once": _at_once, "idle streams": _beside_idle, "message size": _message}[name]
    points = []
    for amount in amounts:
        costs = []
        for _ in range(rounds):
            link = EngineLink(*certificate)
            costs.append(workload(link, amount))
        points.append((amount, min(costs)))
    return points


def _timed(work: Callable[[], None]) -> float:
    gc.collect()
    gc.disable()
    try:
        begin = time.process_time()
        work()
        return time.process_time() - begin
    finally:
        gc.enable()


def _exchange(link: EngineLink, count: int) -> None:
    """Have `count` streams carry a request and its answer, all at once."""
    at_server, at_client = link.ended[1] + count, link.ended[0] + count
    streams = [link.open() for _ in range(count)]
    for stream_id in streams:
        link.write(0, stream_id, BODY, True)
    link.run(lambda: link.ended[1] >= at_server)
    for stream_id in streams:
        link.write(1, stream_id, BODY, True)
    link.run(lambda: link.ended[0] >= at_client)


def _at_once(link: EngineLink, count: int) -> float:
    times = max(1, 200 // count)

    def work() -> None:
        for _ in range(times):
            _exchange(link, count)

    return _timed(work) / (times * count)


def _beside_idle(link: EngineLink, count: int) -> float:
    for _ in range(count):
        link.write(0, link.open(), b"x", False)
    link.run(lambda: link.received[1] >= count)

    def work() -> None:
        for _ in range(REQUESTS):
            _exchange(link, 1)

    return _timed(work) / REQUESTS


def _message(link: EngineLink, size: int) -> float:
    body = bytes(size)
    times = max(1, min(50, 1_000_000 // size))

    def work() -> None:
        for _ in range(times):
            ended = link.ended[1]
            link.write(0, link.open(), body, True)
            link.run(lambda: link.ended[1] > ended)

    return _timed(work) / times
