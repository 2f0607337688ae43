"""What is done with every packet of a batch on its way to or from a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["packet_owners", "packet_runs", "packets_size", "packets_to"]


def packet_runs(
    packets: Sequence[tuple[bytes, Any]], max_segments: int, max_bytes: int
) -> list[tuple[list[bytes], Any]]:
    """Cut packets, in order, into the longest runs that one system call can send.

    The packets of a run have one destination and one size, except that the last one may be shorter. A packet that fits
    into no run is a run of its own.

    Args:
        packets: UDP payloads, each with its destination.
        max_segments: packets in a run.
        max_bytes: bytes of a run.

    Returns:
        the runs, each with its destination.
    """
    runs: list[tuple[list[bytes], Any]] = []
    run: list[bytes] = []
    destination: Any = None
    size = room = 0
    for data, addr in packets:
        length = len(data)
        if not run or not (0 < length <= size and length <= room and (addr is destination or addr == destination)):
            run = []
            destination, size, room = addr, length, max_bytes
            runs.append((run, destination))
        run.append(data)
        # A shorter packet is the last one. An empty one would vanish in a run, so it stays alone.
        room = room - length if length == size and length and len(run) < max_segments else -1
    return runs


def packets_size(packets: Sequence[tuple[bytes, Any]]) -> int:
    """Return the bytes of packets, each with an address."""
    return sum([len(data) for data, _ in packets])


def packets_to(packets: Sequence[tuple[bytes, Any]], peer: Any) -> list[tuple[bytes, None]]:
    """Return the packets to one address, for a socket that is connected to it."""
    return [(data, None) for data, addr in packets if addr is peer or addr == peer]


def packet_owners(
    packets: Sequence[tuple[bytes, Any]], owners: dict[bytes, Any], id_size: int, find: Callable[[bytes], Any]
) -> list[Any]:
    """Return whose each packet is, or None.

    Args:
        packets: UDP payloads, each with an address.
        owners: by connection id.
        id_size: bytes of the connection id behind the first byte of a short header (RFC 8999, 5.2).
        find: told the payload, says whose one with a long header is, or an empty one.
    """
    end = 1 + id_size
    get = owners.get
    return [get(data[1:end]) if data and data[0] < 0x80 else find(data) for data, _ in packets]
