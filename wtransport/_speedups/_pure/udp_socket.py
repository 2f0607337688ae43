"""Reading and sending datagrams of a UDP socket, without blocking."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .._constants import LOOK_AGAIN, MAX_UDP_PAYLOAD, SOL_UDP, UDP_GRO
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

    `read_ready` and `pass_on` do what is most common by themselves, and leave the rest to whoever sets these:

    Attributes:
        on_datagram: gets the list of a datagram that came alone; None reads nothing.
        on_more: gets the list of what was read, none or several, when there may be more.
        on_error: gets the error of a read.
        on_unsent: gets the error, data and address of what could not be sent; the error is None while `is_held`.
        is_held: nothing is to be sent now.
        lone_reads: how many reads gave one datagram, since one gave more.
    """

    __slots__ = (
        "_peer",
        "_sock",
        "coalesces",
        "is_held",
        "lone_reads",
        "on_datagram",
        "on_error",
        "on_more",
        "on_unsent",
    )

    def __init__(self, sock: socket.socket, peer: Any = None, coalesces: bool = False) -> None:
        """Take a socket."""
        self._sock = sock
        self._peer = peer
        self.coalesces = coalesces
        self.on_datagram: Callable[[list[tuple[bytes, Any]]], object] | None = None
        self.on_more: Callable[[list[tuple[bytes, Any]]], object] | None = None
        self.on_error: Callable[[OSError], object] | None = None
        self.on_unsent: Callable[[OSError | None, Any, Any], object] | None = None
        self.is_held = False
        self.lone_reads = 0

    def read_ready(self) -> None:
        """Read, as the socket is readable: a dialogue's datagrams come alone, so mostly once."""
        if self.on_datagram is None or self.on_more is None or self.on_error is None:
            return
        datagrams: list[tuple[bytes, Any]] = []
        if self.lone_reads % LOOK_AGAIN:
            try:
                count = self.receive(datagrams)
            except OSError as exc:
                self.on_error(exc)
                return
            if count == 1:
                self.lone_reads += 1
                self.on_datagram(datagrams)
            if count <= 1:
                return
        self.on_more(datagrams)

    def pass_on(self, data: Buffer, address: Any = None) -> None:
        """Send one datagram, or leave it to `on_unsent`."""
        error: OSError | None = None
        if not self.is_held:
            try:
                self.send(data, address)
                return
            except OSError as exc:
                error = exc
        if self.on_unsent is not None:
            self.on_unsent(error, data, address)

    def receive(self, datagrams: list[tuple[bytes, Any]]) -> int:
        """Read once, and append each datagram that came with its sender's address.

        Returns:
            how many there are: 0 when nothing waits, more than 1 where the kernel joined several; compiled, also where
            one system call reads several (Linux's recvmmsg).

        Raises:
            TypeError: datagrams is not a list.
            OSError: an error of the socket, of an earlier packet for instance (ICMP).
        """
        if type(datagrams) is not list:
            raise TypeError("datagrams must be a list")
        size = 0
        try:
            if self.coalesces:
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

    def send_some(self, packets: list[bytes], start: int = 0, address: Any = None) -> int:
        """Send datagrams to one address, from a position in a list on: as many as one system call takes.

        Returns:
            how many were sent: here 1; compiled, more where one call sends several (Linux's sendmmsg). An error of a
            later one is met by the next call if it lasts; that of an earlier packet (ICMP) only if it comes up with the
            first.

        Raises:
            TypeError: packets is not a list.
            IndexError: there is none at start.
            BlockingIOError, OSError: as for `send`, of the first.
        """
        if type(packets) is not list:
            raise TypeError("packets must be a list")
        if not 0 <= start < len(packets):
            raise IndexError("start is beyond the packets")
        self.send(packets[start], address)
        return 1

    def detach(self) -> None:
        """Let go of the socket, which is about to be closed; to send or to receive is an error of the socket then."""
        self.on_datagram = self.on_more = self.on_error = self.on_unsent = None
        self.is_held = True


def _segment_size(control: Sequence[tuple[int, int, bytes]]) -> int:
    """Return the size of the datagrams that were joined, of which the last may be shorter; 0 for a single one."""
    for level, kind, value in control:
        if level == SOL_UDP and kind == UDP_GRO:
            return int.from_bytes(value, sys.byteorder)
    return 0
