"""Reading and sending datagrams of a UDP socket, without blocking."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any

from .._constants import MAX_UDP_PAYLOAD, SOL_UDP, UDP_GRO
from .._inputs import Buffer

__all__ = ["UdpSocket"]

_CONTROL_SPACE = 64
"""Bytes for control messages: the only one asked for takes 24 (`CMSG_SPACE(sizeof(int))`)."""


class UdpSocket:
    """The datagrams of one socket that does not block.

    Args:
        sock: the socket; it stays its owner's, who calls `detach` before closing it.
        peer: the address that the socket is connected to, which every datagram is said to come from; None where each
            has its own.
        coalesces: whether the kernel joins datagrams (UDP_GRO).
    """

    __slots__ = ("_coalesces", "_peer", "_sock")

    def __init__(self, sock: socket.socket, peer: Any = None, coalesces: bool = False) -> None:
        """Take a socket."""
        self._sock = sock
        self._peer = peer
        self._coalesces = coalesces

    def receive(self, datagrams: list[tuple[bytes, Any]]) -> int:
        """Read once, and append each datagram that came with its sender's address.

        Returns:
            how many there are: 0 when nothing waits, more than 1 where the kernel joined several.

        Raises:
            TypeError: datagrams is not a list.
            OSError: an error of the socket, of an earlier packet for instance (ICMP).
        """
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        size = 0
        try:
            if self._coalesces:
                data, control, _, sender = self._sock.recvmsg(MAX_UDP_PAYLOAD, _CONTROL_SPACE)
                size = _segment_size(control)
            else:
                data, sender = self._sock.recvfrom(MAX_UDP_PAYLOAD)
        except BlockingIOError:
            return 0
        address = sender if self._peer is None else self._peer
        if not size or not data:
            datagrams.append((data, address))
            return 1
        starts = range(0, len(data), size)
        datagrams += [(data[start : start + size], address) for start in starts]
        return len(starts)

    def send(self, data: Buffer, address: Any = None) -> None:
        """Send one datagram; on a connected socket to its peer, whatever the address.

        Raises:
            BlockingIOError: the socket is full.
            OSError: the datagram was refused, or an error of an earlier one comes up.
        """
        if address is None or self._peer is not None:
            self._sock.send(data)
        else:
            self._sock.sendto(data, address)

    def detach(self) -> None:
        """Let go of the socket, which is about to be closed; to send or to receive is an error of the socket then."""


def _segment_size(control: Sequence[tuple[int, int, bytes]]) -> int:
    """Return the size of the datagrams that were joined, of which the last may be shorter; 0 for a single one."""
    for level, kind, value in control:
        if level == SOL_UDP and kind == UDP_GRO:
            return int.from_bytes(value, sys.byteorder)
    return 0
