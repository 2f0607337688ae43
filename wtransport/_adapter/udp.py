"""Linux's offloads for UDP: several packets to one destination, or from one source, in one system call.

Without them a packet costs a trip through the kernel's whole network stack. Where a kernel has none, the questions
asked here say so and nothing else is needed. The numbers stand here because `socket` got names for them late or never.

Source: include/uapi/linux/udp.h; udp(7).
"""

from __future__ import annotations

import socket
import sys

from .._quic.port import NetworkAddress

SOL_UDP = 17
"""Level of the socket options and of the control messages: the protocol's number."""

UDP_SEGMENT = 103
"""Size into which a payload is cut when it is sent (generic segmentation offload, Linux 4.18)."""

UDP_GRO = 104
"""Hand over several datagrams as one payload, and say of which size they were (generic receive offload, Linux 5.0)."""

CONTROL_SPACE = 64
"""Bytes for control messages: the only one asked for takes 24 (`CMSG_SPACE(sizeof(int))`)."""


def can_segment(sock: socket.socket) -> bool:
    """Tell whether the kernel cuts payloads into packets.

    To be asked first: a kernel that does not know the control message ignores it, and sends one huge datagram.
    """
    return _set(sock, UDP_SEGMENT, 0)


def coalesce(sock: socket.socket) -> bool:
    """Have the kernel join datagrams, and say so in a control message: `segment_size`. False when it does not."""
    return _set(sock, UDP_GRO, 1)


def _set(sock: socket.socket, option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(SOL_UDP, option, value)
    except OSError:
        return False
    return True


def send_segments(sock: socket.socket, packets: list[bytes], addr: NetworkAddress | None) -> None:
    """Send packets of one size, of which only the last may be shorter, in one call: all of them or none.

    Args:
        sock: a socket for which `can_segment` said yes.
        packets: see `batching.runs`.
        addr: where to; None on a connected socket.

    Raises:
        OSError: as for a single packet; or the kernel, the interface or the route does not segment.
    """
    size = len(packets[0]).to_bytes(2, sys.byteorder)
    if addr is None:
        sock.sendmsg(packets, [(SOL_UDP, UDP_SEGMENT, size)])
    else:
        sock.sendmsg(packets, [(SOL_UDP, UDP_SEGMENT, size)], 0, addr)


def segment_size(control: list[tuple[int, int, bytes]]) -> int:
    """Return the size of the datagrams that were joined, of which the last may be shorter; 0 when it is one datagram.

    Args:
        control: the control messages that `socket.recvmsg` returned; at most `CONTROL_SPACE` bytes need be asked for.
    """
    for level, kind, value in control:
        if level == SOL_UDP and kind == UDP_GRO:
            return int.from_bytes(value, sys.byteorder)
    return 0
