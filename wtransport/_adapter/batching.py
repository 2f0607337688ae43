"""Which packets can share a system call (segmentation offload), and which datagrams came in one."""

from __future__ import annotations

from collections.abc import Sequence

from .._quic.port import NetworkAddress
from .._speedups import packet_runs

MAX_SEGMENTS = 64
"""Packets in one call: UDP_MAX_SEGMENTS in Linux's include/linux/udp.h, before it was raised to 128."""

MAX_BATCH_BYTES = 65_507
"""Bytes in one call: together they are one UDP payload to the kernel (65,535 less IPv4's and UDP's headers)."""

Datagram = tuple[bytes, NetworkAddress | None]
"""A UDP payload, and where it goes; None on a connected socket."""


def runs(datagrams: Sequence[Datagram]) -> list[tuple[list[bytes], NetworkAddress | None]]:
    """Cut a sequence of datagrams, in order, into the longest runs that one call can send.

    The packets of a run have one destination and one size, except that the last one may be shorter; there are at most
    `MAX_SEGMENTS`, with `MAX_BATCH_BYTES` together. A packet that fits into no run is a run of its own.
    """
    return packet_runs(datagrams, MAX_SEGMENTS, MAX_BATCH_BYTES)
