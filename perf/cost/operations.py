"""The operations: each done some number of times between two engines in memory, both ends counted together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perf.engine.links import EngineLink

__all__ = ["OPERATIONS", "Operation"]

BODY = b"b" * 64
PIECE = 64 * 1024
WINDOW = 128
"""Datagrams under way: a queue in the program's place would hold more."""


@dataclass(frozen=True)
class Operation:
    """One row: what is done `count` times on a link; returns of how many units that was."""

    unit: str
    run: Callable[[EngineLink, int], int]
    few: int
    """Times that are enough to count instructions; four times as often it is timed."""


def _datagrams(link: EngineLink, count: int) -> int:
    base = link.datagrams[1]
    sent = 0
    while sent < count:
        for _ in range(64):
            sent += link.datagram(0, BODY)
        link.run(lambda: link.datagrams[1] - base >= sent - WINDOW)
    link.run(lambda: link.datagrams[1] - base >= sent)
    return sent


def _one_datagram(link: EngineLink, count: int) -> int:
    for _ in range(count):
        came = link.datagrams[1]
        link.datagram(0, BODY)
        link.run(lambda: link.datagrams[1] > came)
    return count


def _streams(link: EngineLink, count: int) -> int:
    """Open a stream, send on it and end it, from both ends: a request and its answer."""
    for _ in range(count):
        at_server, at_client = link.ended[1], link.ended[0]
        stream_id = link.open()
        link.write(0, stream_id, BODY, True)
        link.run(lambda: link.ended[1] > at_server)
        link.write(1, stream_id, BODY, True)
        link.run(lambda: link.ended[0] > at_client)
    return count


def _streams_at_once(link: EngineLink, count: int) -> int:
    done = link.ended[1]
    for _ in range(count):
        link.write(0, link.open(), BODY, True)
    link.run(lambda: link.ended[1] >= done + count)
    return count


def _packets(link: EngineLink, count: int) -> int:
    """Upload; packets of both directions count, so acknowledgements too."""
    before, received = link.packets, link.received[1]
    stream_id = link.open()
    for number in range(count):
        link.write(0, stream_id, bytes(PIECE), False)
        link.run(lambda: link.received[1] - received >= (number + 1) * PIECE)
    return link.packets - before


OPERATIONS = {
    "packet of an upload": Operation("packet", _packets, 20),
    "datagram, in bursts": Operation("datagram", _datagrams, 2000),
    "datagram, one by one": Operation("datagram", _one_datagram, 300),
    "request and answer": Operation("stream", _streams, 150),
    "stream, many at once": Operation("stream", _streams_at_once, 300),
}
