"""Linux's offloads for UDP: several packets to one destination, or from one source, in one system call.

Without them a packet costs a trip through the kernel's whole network stack. Where a kernel has none, the questions
asked here say so and nothing else is needed. The number stands here because `socket` got a name for it late.

Source: include/uapi/linux/udp.h; udp(7).
"""

from __future__ import annotations

import socket
import sys

from .._quic.port import NetworkAddress
from .._speedups._constants import SOL_UDP, UDP_GRO

UDP_SEGMENT = 103
"""Size into which a payload is cut when it is sent (generic segmentation offload, Linux 4.18)."""


def can_segment(sock: socket.socket) -> bool:
    """Tell whether the kernel cuts payloads into packets.

    To be asked first: a kernel that does not know the control message ignores it, and sends one huge datagram.
    """
    return _set(sock, UDP_SEGMENT, 0)


def coalesce(sock: socket.socket) -> bool:
    """Have the kernel join datagrams, and say so in a control message. False when it does not."""
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
